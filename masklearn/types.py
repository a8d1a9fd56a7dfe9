"""The nouns that travel from file to file.

Shape legend, used by every docstring and comment of the package:

  B batch      L passage length in tokens     W passage length in words
  S source     T target length in tokens      N longest candidate span in words
  D width      H heads    V vocabulary        K inner steps    J fine-tuning steps
  M candidate spans sampled from a passage
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # Tasks and texts need no accelerator, and no wait for one.
  import jax


class InputError(ValueError):
  """What a user gave cannot be used; the message says what, where and why."""


class Impossible(InputError):
  """A part of what was asked for cannot be had from these data; the rest can."""


class Span(NamedTuple):
  """Characters [start, end) of a text, with what they are."""

  start: int
  end: int
  label: str = ''


@dataclasses.dataclass(frozen=True)
class Passage:
  """A piece of a document, as long as the model reads at once."""

  id: str
  text: str
  group: str = ''  # what the passage is about; questions name the same group
  spans: tuple[Span, ...] = ()  # the corpus's own, in order, without overlap
  sentences: tuple[tuple[int, int], ...] = ()  # characters [start, end); () if unknown
  # What an annotator found, in order, without overlap; None if none has looked.
  salient: tuple[Span, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Example:
  """A question of a task, with every answer that counts as right."""

  id: str
  source: str
  targets: tuple[str, ...]  # the first is the one to train on; () if none is known
  group: str = ''
  label: str = ''  # kind of question; the label of the spans that answer it
  context: str = ''  # the gold passage, where the task has one
  answer_spans: tuple[Span, ...] = ()  # where targets stand in it; may overlap
  # The label of the spans that the answer follows from, if it is not `label`.
  evidence: str = ''

  @property
  def about(self) -> str:
    """What the question is about: its group, or where it has none its context."""
    return self.group or self.context


@dataclasses.dataclass(frozen=True)
class Task:
  """Questions in three splits; only those of a published task may share a group."""

  name: str
  train: tuple[Example, ...]
  validation: tuple[Example, ...]
  test: tuple[Example, ...]
  metric: str = 'em'  # what it is scored by, of `evaluation.metrics.METRICS`

  @property
  def examples(self) -> tuple[Example, ...]:
    """The questions of all splits."""
    return self.train + self.validation + self.test

  def split(self, name: str) -> tuple[Example, ...]:
    """The questions of a split: 'train', 'validation' or 'test'."""
    return {'train': self.train, 'validation': self.validation, 'test': self.test}[name]

  def rows(self, split: str) -> range:
    """The places of a split's questions among `examples`."""
    first = {'train': 0, 'validation': len(self.train)}
    first['test'] = first['validation'] + len(self.validation)
    return range(first[split], first[split] + len(self.split(split)))

  @property
  def asked(self) -> frozenset[str]:
    """Labels of the spans that a policy should hide: answers, or what says them."""
    return frozenset(e.evidence or e.label for e in self.examples) - {''}


class Specials(NamedTuple):
  """Token ids that the objective writes itself: BART's, or T5's.

  BART hides every span behind the same `<mask>`; a sequence is `<s> .. </s>`, and
  the decoder starts from `</s>`. BERT's tokens [CLS], [SEP] and [MASK] serve for
  those of BART. T5 hides the k-th span behind the k-th sentinel; a
  sequence ends with `</s>`, and the decoder starts from `<pad>`.
  """

  bos: int | None  # None in T5
  pad: int
  eos: int
  mask: int  # in T5 the first sentinel
  sentinels: tuple[int, ...] = ()  # of T5, in the order in which they are used
  start: int | None = None  # of a checkpoint whose decoder starts from another token

  @property
  def decoder_start(self) -> int:
    """What the decoder reads first."""
    if self.start is not None:
      return self.start
    return self.pad if self.sentinels else self.eos


class Batch(NamedTuple):
  """Passages on the device; a policy may read all but `asked`.

  Tokens carry no <s> or </s>: the objective adds them.
  """

  tokens: jax.Array  # [B, L] int32
  valid: jax.Array  # [B, L] bool; False is padding, always at the end
  word: jax.Array  # [B, L] int32; index of the word that a token is part of
  sentence: jax.Array  # [B, L] int32; index of the sentence
  salient: jax.Array  # [B, L] int32; 0 outside, 1 first token of a span, 2 inside
  asked: jax.Array  # [B, L] int32; the same for spans that answer the task
  # The same for collocations and the words between them: each token is in one.
  collocation: Any = None  # [B, L] int32, or None where nobody has counted collocations


class Answers(NamedTuple):
  """Passages with the places of answers in them, up to A a passage."""

  passages: Batch  # [B, L]
  start: jax.Array  # [B, A] int32 first word
  length: jax.Array  # [B, A] int32 words
  weight: jax.Array  # [B, A] float32; 1 over the answers of a question, 0 for no answer


class MaskDraw(NamedTuple):
  """One draw of a policy over a batch."""

  mask: jax.Array  # [B, L] float32 in [0, 1]; 1 hides the token
  start: jax.Array  # [B, L] float32; 1 where a span begins (adjacent spans differ)
  log_prob: jax.Array  # [B] float32; log-probability of the draw
  # What only the original objective of BART does to a source.
  order: Any = None  # [B, L] int32; the token that stands at each place, or None
  inserted: Any = None  # [B, L + I] bool; places of extra markers, or None
  lost: Any = None  # [B] int32; extra markers that had no place, or None


class Policy(NamedTuple):
  """Three pure functions: what to learn, what to prefer, what to hide.

  `theta` is what the policy learns, `{}` if nothing. A fresh one is `init(key)`.
  """

  init: Callable  # (key) -> theta
  scores: Callable  # (theta, batch) -> [B, W, N] log-weights of spans of 1..N words
  draw: Callable  # (theta, key, batch) -> MaskDraw


class Segments(NamedTuple):
  """Which example each token of a row belongs to, from 1; 0 is padding.

  Tokens see their own example alone, and positions begin again in each.
  """

  source: jax.Array  # [B, S] int32
  target: jax.Array  # [B, T] int32


class Corrupted(NamedTuple):
  """A denoising example, hard or soft, or any other pair of source and target."""

  source: jax.Array  # [B, S] int32
  source_valid: jax.Array  # [B, S] bool
  decoder_input: jax.Array  # [B, T] int32
  target: jax.Array  # [B, T] int32
  weight: jax.Array  # [B, T] float32; how much each target token counts
  source_mask: Any = None  # [B, S] float32 share of the <mask> embedding, or None
  segments: Segments | None = None  # where rows hold several examples
