"""Abstractive summarization: a text, and one summary of it or several.

The splits are the official ones. Metric: ROUGE-L of the best target, for
CNN/DailyMail by sentence. There is no gold passage but the source itself, so that no
example has a context.
"""

from typing import Any, Unpack

from masklearn.io.records import text_field
from masklearn.tasks import benchmark, fields
from masklearn.types import Example, Task

CNN_DAILYMAIL = benchmark.Official(
  hub_id='abisee/cnn_dailymail',
  config='3.0.0',
  revision='main',
  files=(
    benchmark.files('cnndm.{}.*.json', train='train', validation='valid', test='test'),
  ),
  metric='summary_rougeLsum',
)
XSUM = benchmark.Official(
  hub_id='EdinburghNLP/xsum',
  config='default',
  revision='5484b3547a597693f9c099954c1cd6a8192a4573',
  files=(
    {'train': 'train.jsonl', 'validation': 'validation.jsonl', 'test': 'test.jsonl'},
  ),
  pattern='default/xsum-{split}.parquet',
  metric='summary_rougeL',
)
SCITLDR = benchmark.Official(
  hub_id='allenai/scitldr',
  config='Abstract',
  revision='a4631aae7256510ec151eecd006f748ea3c18f0a',
  files=(
    benchmark.files('SciTLDR-A/{}.jsonl', train='train', validation='dev', test='test'),
  ),
  pattern='Abstract/scitldr-{split}.parquet',
  metric='summary_rougeL',
)


def cnn_dailymail(seed: int, **where: Unpack[benchmark.Where]) -> Task:
  """CNN/DailyMail: news articles and their highlights.

  Source: the article. Target: the highlights, one a line. Read are the hub's records
  {article, highlights} and the shards of PreSumm, {src, tgt}: lists of sentences of
  tokens, in lower case, which are joined by spaces; a summary has a sentence a line.

  References:
    See et al., Get To The Point: Summarization with Pointer-Generator Networks, ACL
    2017; Liu and Lapata, Text Summarization with Pretrained Encoders, EMNLP 2019,
    https://github.com/nlpyang/PreSumm.
  """
  return benchmark.task('cnn_dailymail', seed, CNN_DAILYMAIL, parse_cnn, **where)


def xsum(seed: int, **where: Unpack[benchmark.Where]) -> Task:
  """XSum: news articles and a sentence that says what each is about.

  Source: the document. Target: the summary. Read are the hub's records {document,
  summary, id}, also as JSON lines.

  References:
    Narayan et al., Don't Give Me the Details, Just the Summary!, EMNLP 2018.
  """
  return benchmark.task('xsum', seed, XSUM, parse_xsum, **where)


def scitldr(seed: int, **where: Unpack[benchmark.Where]) -> Task:
  """SciTLDR: what a scientific paper says, in a sentence.

  Source: the abstract, its sentences joined by spaces (or abstract, introduction and
  conclusion, from the files of SciTLDR-AIC). Targets: all summaries, the authors'
  first.

  References:
    Cachola et al., TLDR: Extreme Summarization of Scientific Documents, Findings of
    EMNLP 2020; https://github.com/allenai/scitldr.
  """
  return benchmark.task('scitldr', seed, SCITLDR, parse_scitldr, **where)


def _presumm(record: dict[str, Any], default_id: str) -> Example:
  return Example(
    id=default_id,
    source=' '.join(_sentences(record, 'src')),
    targets=('\n'.join(_sentences(record, 'tgt')),),
  )


def _sentences(record: dict[str, Any], key: str) -> list[str]:
  """The sentences of a list of lists of tokens."""
  rows = record[key]
  if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
    raise ValueError(f'{key!r} must be a list of lists of tokens, got {rows!r:.40}.')
  if not all(isinstance(token, str) for row in rows for token in row):
    raise ValueError(f'{key!r} must hold strings alone.')
  found = [' '.join(row) for row in rows if row]
  if not found:
    raise ValueError(f'{key!r} is empty.')
  return found


def _scitldr(record: dict[str, Any], default_id: str) -> Example:
  del default_id  # every paper has its own
  return Example(
    id=text_field({'id': record['paper_id']}, 'id'),
    source=' '.join(fields.answers(record, 'source')),
    targets=fields.answers(record, 'target'),
  )


_read_cnn = fields.reader('article', 'highlights', many=False)
_read_xsum = fields.reader('document', 'summary', many=False)
parse_cnn = fields.by_kind(
  {'a CNN/DailyMail record': _read_cnn, 'a PreSumm record': _presumm}
)
parse_xsum = fields.by_kind({'an XSum record': _read_xsum})
parse_scitldr = fields.by_kind({'a SciTLDR record': _scitldr})
