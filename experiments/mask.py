r"""Says what a policy hides of texts, and writes the pairs that a model learns from.

python -m experiments.mask --policy=salient --input=docs.jsonl --output=masks.jsonl
python -m experiments.mask --policy=runs/demo/policies/learned-civics/0 \
  --input=docs.txt.gz --output=masks.jsonl --html=masks.html

Input: JSON lines with "text", or plain text (.txt) with empty lines between documents.
Output: a JSON object a line: id, text, spans [start, end, probability], source, target.
An interrupted run goes on where it was when it is started again.

  --policy      name (random, random_token, random_span, salient, pmi_span, original,
                same_sentences_random) or directory of a learned one
  --html        page with the first passages
  --rate        share of the words to hide; by default the policy's own, or 0.15
  --tokenizer   file, directory or Hugging Face name; by default words are tokens
  --length      tokens of a passage at most (254)
  --format      t5 or bart, how spans are marked; --target: spans or full
  --annotator   of salient spans: rules, corpus
  --reference   policy that random_span or same_sentences_random is compared with
  --collocations   file, for pmi_span; by default they are counted on the input
  --seed        of the draws (0)
"""

import os
import pathlib

from experiments import app
from masklearn.io import files
from masklearn.io.progress import Progress
from masklearn.masking import text_files
from masklearn.policies import POLICIES
from masklearn.report import viewer
from masklearn.types import InputError


def main(
  policy, input, output, html='', rate='', seed='0', length='254', tokenizer='',
  format='t5', target='spans', annotator='', reference='', collocations='',
):  # fmt: skip
  """Writes `output`, and the page if one is asked for."""
  order = text_files.Order(
    policy, input, output, tokenizer, _number('rate', rate, float) if rate else None,
    _number('seed', seed, int), format, target, annotator, reference, collocations,
    _number('length', length, int),
  )  # fmt: skip
  try:
    if html:
      _check_page(html, input, output)
    with Progress() as progress:
      counts = text_files.run(order, progress)
      print(f'{output}: {counts}')
      if html:
        shown = text_files.viewed(order, progress)
        files.write_text(html, viewer.masks_page(policy, str(counts), shown, POLICIES))
        print(html)
  except OSError as error:  # a name that is too long, a folder that is a file, ..
    what = error.filename or output
    raise InputError(
      f'{what} cannot be read or written: {error.strerror or error}.'
    ) from error


def _check_page(html, input, output):
  """Refuses a page that could not be written in the end, before any work is done."""
  viewer.check(html)
  for other in (input, output):
    if pathlib.Path(html).resolve() == pathlib.Path(other).resolve():
      raise InputError(f'--html and another file are the same, {other}.')
  folder = pathlib.Path(html).resolve().parent
  while not folder.exists():
    folder = folder.parent
  if not folder.is_dir() or not os.access(folder, os.W_OK):
    raise InputError(f'--html={html}: {folder} is no folder that can be written to.')


def _number(name, value, kind):
  try:
    return kind(value)
  except ValueError:
    raise InputError(f'--{name}={value}: not a number.') from None


if __name__ == '__main__':
  app.run(main)
