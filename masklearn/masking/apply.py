"""Any policy on any text: passages in, hidden spans and their probabilities out.

Passages go to the device in rows of a few lengths, so that there are a few programs to
compile, and each has a key of its own: what is hidden in a passage depends on the seed
and on its number, and not on what it is computed with.
"""

import inspect
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from masklearn import data, policies, text
from masklearn.io.lookup import nearest
from masklearn.masking import infill
from masklearn.policies import POLICIES, sampling
from masklearn.text import annotators
from masklearn.text.collocations import Collocations
from masklearn.types import Batch, InputError, Passage, Policy, Specials

LENGTHS = (48, 128, 320)  # of rows, in tokens; the longest row is as the caller wants
LONGEST = 1024
ROWS = 64  # passages at once
RATE = 0.15  # of a policy that has none
SEEDS = 2**32  # that differ: of a larger one, JAX's generator drops the upper half


class Words:
  """Words as tokens, for policies that read nothing but where words are."""

  specials = Specials(0, 0, 0, 0)
  size = 1

  def encode(self, body: str) -> text.Encoding:
    """A token for each word and each mark, all with the same id."""
    offsets = text.words(body)
    return text.Encoding([0] * len(offsets), offsets)


class Chosen(NamedTuple):
  """A policy to mask with, and all that it needs."""

  name: str
  policy: Policy
  theta: Any
  tokenizer: Any  # text.Tokenizer or Words
  rate: float
  annotator: str  # '' where nobody looks at annotations
  joins: bool = False  # whether it needs collocations
  longest: int = LONGEST  # tokens that it can read


class Hidden(NamedTuple):
  """What a draw hides of a passage."""

  passage: Passage
  spans: list[tuple[int, int, float]]  # characters [start, end), and the probability
  words: int  # of the passage
  hidden_words: int
  lost_spans: int  # that a format has no marker for; they stay shown

  def pair(self, form: str, target: str) -> tuple[str, str]:
    """Source and target, as `infill.pair` writes them."""
    spans = [span[:2] for span in self.spans]
    return infill.pair(self.passage.text, spans, form, target)


def choose(
  policy: str,
  *,
  form: str = 't5',
  rate: float | None = None,
  tokenizer: str = '',
  annotator: str = '',
  reference: str = '',
) -> Chosen:
  """The policy of a name or directory.

  Args:
    policy: a name of `POLICIES`, or a directory as `save_policy` writes it.
    form: 't5' or 'bart': whose original objective is meant.
    rate: share of the words to hide; None for the policy's own, or `RATE`.
    tokenizer: file, directory or name of Hugging Face's, for a policy by name; '' takes
      words for tokens.
    annotator: who finds salient spans, '' for the policy's own or 'rules'.
    reference: name or directory of the policy that 'random_span' or
      'same_sentences_random' takes its spans from.

  Raises:
    InputError: an unknown name, a directory that lacks something, or a policy that
      needs more than it was given.
  """
  if policy not in POLICIES:
    return _from_directory(policy, rate, tokenizer, annotator, reference)
  entry = POLICIES[policy]
  _check_given(policy, form, tokenizer, reference)
  tokens = text.load_tokenizer(tokenizer) if tokenizer else Words()
  joins = 'collocations' in entry.needs
  if reference:
    other = choose(
      reference, form=form, rate=rate, tokenizer=tokenizer, annotator=annotator
    )
    made = entry(other.rate, reference=other.policy)
    return other._replace(name=policy, policy=made, joins=other.joins or joins)
  if 'specials' in entry.needs:  # It has a rate of its own.
    ids = tokens.specials._replace(sentinels=(0,) if form == 't5' else ())
    return Chosen(policy, entry(rate, ids=ids), {}, tokens, rate or RATE, '', joins)
  rate = RATE if rate is None else rate
  seen = (annotator or 'rules') if 'annotations' in entry.needs else ''
  return Chosen(policy, entry(rate), {}, tokens, rate, seen, joins)


def _check_given(policy, form, tokenizer, reference):
  """Refuses a name that is not enough, or with which something was given in vain."""
  entry = POLICIES[policy]
  if not entry.make:
    raise InputError(f'The policy {policy!r} hides nothing.')
  if entry.trained_by:
    raise InputError(
      f'The policy {policy!r} has parameters; give the directory that learned them.'
    )
  if 'answers' in entry.needs:
    raise InputError(
      f'The policy {policy!r} knows the questions of a task, and a text has none.'
    )
  # The original objective of T5 counts tokens, that of BART words.
  tokens = 'tokens' in entry.needs or ('specials' in entry.needs and form == 't5')
  if tokens and not tokenizer:
    raise InputError(
      f'The policy {policy!r} hides or counts tokens; give it a tokenizer.'
    )
  takes = inspect.signature(entry.function).parameters.get('reference')
  if reference and not takes:
    raise InputError(f'The policy {policy!r} takes no reference, got {reference!r}.')
  if takes and takes.default is takes.empty and not reference:
    raise InputError(
      f'The policy {policy!r} needs a reference, the policy whose sentences it takes: '
      'a name such as salient, or a directory.'
    )


def _from_directory(policy, rate, tokenizer, annotator, reference):
  if not pathlib.Path(policy).is_dir():
    # Those that `_check_given` refuses by any means are no choice.
    usable = [n for n, e in POLICIES.items() if e.make and 'answers' not in e.needs]
    raise InputError(
      f'A policy is a name or a directory, and {policy!r} is neither; the nearest name '
      f'is {nearest(policy, usable)}, all are {", ".join(usable)}.'
    )
  if tokenizer or reference:
    raise InputError(
      'A directory of a policy has its own tokenizer and needs no reference, got '
      f'tokenizer={tokenizer!r}, reference={reference!r}.'
    )
  found = policies.load_policy(policy, rate)
  spec, needs = found.spec, POLICIES[found.spec['name']].needs
  seen = (annotator or spec.get('annotator', 'rules')) if 'annotations' in needs else ''
  name, rate, joins = spec['name'], spec['rate'], 'collocations' in needs
  longest = (spec.get('bert') or {}).get('max_positions', LONGEST + 2) - 2
  return Chosen(
    name, found.policy, found.theta, found.tokenizer, rate, seen, joins, longest
  )


class Masker:
  """Hides spans of passages, as a policy draws them."""

  def __init__(
    self,
    chosen: Chosen,
    seed: int,
    length: int,
    form: str = 't5',
    collocations: Collocations | None = None,
  ):
    """Prepares; programs are compiled when they are first needed.

    Args:
      chosen: the policy.
      seed: of the draws, at least 0 and less than `SEEDS`.
      length: tokens of a passage at most; a longer one is cut into several.
      form: a format of `infill.FORMATS`, which may limit the number of spans.
      collocations: of the corpus, for 'pmi_span'.
    """
    longest = min(chosen.longest, LONGEST)
    if not 1 <= length <= longest:
      raise InputError(
        f'The policy {chosen.name!r} reads passages of 1 to {longest} tokens, got '
        f'length={length}.'
      )
    if not 0 <= seed < SEEDS:
      raise InputError(f'A seed is a whole number from 0 to {SEEDS - 1}, got {seed}.')
    if chosen.joins and not collocations:
      raise InputError(
        f'The policy {chosen.name!r} needs the collocations of a corpus.'
      )
    if chosen.annotator:
      annotators.make(chosen.annotator)  # An error comes before any text.
    self.chosen, self.form, self._length = chosen, form, length
    self._widths = (*(size for size in LENGTHS if size < length), length)
    self._units = collocations.units if collocations else None
    # The markers that a tokenizer of T5 knows, which need not be a hundred.
    self._markers = len(self.specials.sentinels) or infill.SENTINELS
    self._key = jax.random.key(seed)
    self._draw = jax.jit(_make_draw(chosen))
    self._encoded: dict[str, text.Encoding] = {}

  @property
  def specials(self) -> Specials:
    """Of the tokenizer."""
    return self.chosen.tokenizer.specials

  def encode(self, body: str) -> text.Encoding:
    """The tokens of a text; those of passages that `cut` has made are at hand."""
    return self._encoded.get(body) or self.chosen.tokenizer.encode(body)

  def cut(self, passage: Passage) -> tuple[list[Passage], list[str], int]:
    """The passage in parts that are short enough, and what is wrong with others.

    And the number of its words that are cut, as they are longer than words or passages
    can be.
    """
    body = passage.text
    marker = infill.marker_in(body, self.form)
    if marker:
      return [], [f'the text has {marker}, which is a marker of the format.'], 0
    good, problems = [], []
    encode = self.chosen.tokenizer.encode
    for piece, encoding in data.fit_passages([passage], encode, self._length):
      tokens = len(encoding.ids)
      if tokens > self._length:
        problems.append(
          f'{piece.text[:20]!r} .. is one character of {tokens} tokens, where a '
          f'passage has at most {self._length}.'
        )
      elif tokens and piece.text.strip():
        good.append(piece)
        self._encoded[piece.text] = encoding
    if not good and not problems:
      problems.append('the text has no tokens.')
    long = text.long_words(body)
    if len(good) > 1:  # Cuts between passages may go through others.
      whole = len(text.words(body))
      long += sum(len(text.words(piece.text)) for piece in good) > whole
    return good, problems, long

  def start(
    self, pieces: Sequence[Passage], numbers: np.ndarray
  ) -> Callable[[], list[Hidden]]:
    """Begins to draw what is hidden; the device goes on while the caller does else.

    Args:
      pieces: passages that `cut` has made.
      numbers: [P, 2] int32, different for different passages.

    Returns:
      `finish()`, what is hidden of each passage, in their order.
    """
    encoded = [self.encode(piece.text) for piece in pieces]
    lengths = np.array([len(e.ids) for e in encoded], np.int32)
    width = np.array(self._widths)[np.searchsorted(self._widths, lengths)]
    parts = []
    for size in self._widths:
      rows = np.flatnonzero(width == size)
      for i in range(0, len(rows), ROWS):
        index = rows[i : i + ROWS]
        batch = self.batch([pieces[k] for k in index], size, ROWS)
        at = np.zeros((ROWS, 2), np.int32)
        at[: len(index)] = numbers[index]
        parts.append((index, self._draw(self.chosen.theta, self._key, at, batch)))
    self._encoded = {}

    def finish():
      found: list[Any] = [None] * len(pieces)
      for index, arrays in parts:
        # Rows behind those of `index` are empty ones.
        for i, *row in zip(index, *jax.device_get(arrays), strict=False):
          found[i] = self._hidden(pieces[i], encoded[i].offsets, *row)
      return found

    return finish

  def _hidden(self, piece, offsets, mask, start, share, words):
    spans = infill.spans(piece.text, offsets, mask, start)
    most = self._markers if self.form == 't5' else len(spans)
    total = [0.0, *np.cumsum(share, dtype=np.float64).tolist()]
    shown = [
      (a, b, round((total[last] - total[first]) / (last - first), 4))
      for a, b, first, last in spans[:most]
    ]
    count, hidden = words.tolist()
    lost = spans[most:]  # Their words are not hidden after all.
    if lost:
      starts = [start for start, _ in text.words(piece.text)]
      hidden -= sum(a <= start < b for start in starts for a, b, *_ in lost)
    return Hidden(piece, shown, count, hidden, len(lost))

  def batch(self, pieces: Sequence[Passage], width: int, rows: int) -> Batch:
    """Passages as arrays [rows, width], filled up with empty ones."""
    batch = data.encode_passages(
      pieces, self, self.chosen.annotator, max_length=width, units=self._units
    )

    def fill(x):
      return np.pad(x, ((0, rows - x.shape[0]), (0, width - x.shape[1])))

    return jax.tree.map(fill, batch)


def _make_draw(chosen: Chosen):
  """Returns `(theta, key, numbers [R, 2], batch [R, L]) -> (masks, starts, ..)`.

  The third array has each token's probability of being hidden by a draw: by
  `sampling.inclusion`, or, of a policy that has no table of scores, the share that this
  draw hides of the passage. The fourth has the numbers of words and of hidden ones.
  """

  def one(theta, key, number, row):
    key = jax.random.fold_in(jax.random.fold_in(key, number[0]), number[1])
    batch = jax.tree.map(lambda x: x[None], row)
    draw = chosen.policy.draw(theta, key, batch)
    try:
      scores = chosen.policy.scores(theta, batch)
    except InputError:  # it draws by rules
      count = jnp.maximum(batch.valid.sum(dtype=jnp.float32), 1)
      share = jnp.full_like(draw.mask, 1) * draw.mask.sum() / count
    else:
      share = sampling.inclusion(scores, batch, chosen.rate)
    before = jnp.pad(batch.word, ((0, 0), (1, 0)), constant_values=-1)[:, :-1]
    firsts = (batch.word != before) & batch.valid
    hidden = (firsts & (draw.mask > 0)).sum(dtype=jnp.int32)
    words = jnp.stack([firsts.sum(dtype=jnp.int32), hidden])
    return draw.mask[0] > 0, draw.start[0] > 0, share[0], words

  return jax.vmap(one, in_axes=(None, None, 0, 0))
