"""What looks like a credential is not published, and nothing else is left out."""

import datetime
import json
import time
import types

import pytest

from masklearn import report
from masklearn.io import secrets
from masklearn.study import results
from masklearn.study.config import default_config
from tests.runs import ROWS, Page, write

KEY = 'q7' * 20
# As an argument of a command, with the part that nobody may read.
SECRETS = [
  ('--config.corpus.beam=--runner=DataflowRunner --api_token=hunter2', 'hunter2'),
  ('--config.corpus.beam=--password=hun ter"2', 'ter'),
  ("--config.corpus.beam=--sasl-password: 'hunter2'", 'hunter2'),
  ('--config.corpus.path=https://me:hunter2@host/docs.jsonl', 'hunter2'),
  ('--config.corpus.path=s3://hunter2@bucket/docs.jsonl', 'hunter2'),
  ('--config.corpus.path=https://h/x?X-Amz-Signature=hunter2&y=1', 'hunter2'),
  ('--config.corpus.path=https://h/x?sig=hunter2', 'hunter2'),
  ('AWS_SECRET_ACCESS_KEY=hunter2', 'hunter2'),
  ('{"accessToken": "hunter2"}', 'hunter2'),
  ('Authorization: Bearer hunter2hunter2', 'hunter2'),
  ('Basic hunter2hunter2==', 'hunter2'),
  (f'x=hf_{KEY}', KEY),
  (f'x=ghp_{KEY}', KEY),
  (f'x=sk-{KEY}', KEY),
  (f'x=AIza{KEY}', KEY),
  ('x=AKIAABCDEFGHIJKLMNOP', 'ABCDEFGHIJKLMNOP'),
  (f'eyJ{KEY}.eyJ{KEY}.{KEY}', KEY),
  (f'-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----', KEY),
]
HARMLESS = [
  '--config.learn.token_dropout=0.1',
  '--config.corpus.tokenizer=runs/tokenizer.json',
  '--config.policy.names=none,random,pmi_span',
  '--config.corpus.path=https://host/wiki-latest.xml.bz2?part=3',
  '--config.model.checkpoint=facebook/bart-base',
  '--workdir=runs/key=5/pattern=a/compat=b',
  '--config.recall.path=basic questions.json',
  'd41d8cd98f00b204e9800998ecf8427e',
  '--config.study.resume_token=',
]


@pytest.mark.parametrize(('argument', 'secret'), SECRETS)
def test_a_credential_is_left_out(argument, secret):
  """As an argument, in a command line, and as any text."""
  command = secrets.shlex.join(['python', '-m', 'experiments.study', argument])
  (left,) = secrets.redact_arguments([argument])
  assert secrets.LEFT_OUT in left
  assert secret not in left
  assert secret not in secrets.redact_command(command)
  if ' ter' not in argument:  # a space ends a value where there are no arguments
    assert secret not in secrets.redact(f'{argument} and more')


@pytest.mark.parametrize('argument', HARMLESS)
def test_other_arguments_stay(argument):
  """Names of files, tokenizers and fields that only sound alike."""
  assert secrets.redact_arguments([argument]) == [argument]
  assert secrets.redact(argument) == argument


def test_an_option_may_be_followed_by_its_secret():
  """And what comes after that is shown; JSON keeps its shape."""
  found = secrets.redact_arguments(['--hf-token', 'hunter2', '--seed', '3'])
  assert found == ['--hf-token', secrets.LEFT_OUT, '--seed', '3']
  record = {'settings': {'password': 'x', 'J': 1}, 'urls': ['ftp://a:b@c/d'], 'n': None}
  assert secrets.redact(record) == {
    'settings': {'password': secrets.LEFT_OUT, 'J': 1},
    'urls': [f'ftp://{secrets.LEFT_OUT}@c/d'],
    'n': None,
  }


@pytest.mark.parametrize('piece', ['a', '-', 'a.', 'a://', 'token', 'eyJ', '"', 'sk-'])
def test_the_search_takes_no_longer_on_hostile_text(piece):
  """Seconds grow with the length, and not with its square: 50,000 pieces in one."""
  began = time.process_time()
  secrets.redact(piece * 50_000)
  assert time.process_time() - began < 2


def test_a_study_writes_no_credential_down(tmp_path, monkeypatch):
  """Neither of its command nor of its config's values."""
  config = default_config()
  config.corpus.name = 'https://me:hunter2@host'
  argv = ['study', '--config=x.py', '--config.corpus.beam=--token=hunter2']
  monkeypatch.setattr(results.sys, 'argv', argv)
  monkeypatch.setattr(results, '_sizes', lambda passages, rate: (10, 2))
  setup, began = types.SimpleNamespace(passages=[0], skipped=0), datetime.datetime.now
  results.write_study(tmp_path, config, {}, setup, None, began(datetime.UTC))
  text = (tmp_path / 'study.json').read_text()
  assert 'hunter2' not in text
  record = json.loads(text)
  beam = '--config.corpus.beam=--token=REDACTED'
  assert record['command'] == f'python -m experiments.study --config=x.py {beam}'
  assert record['corpus']['name'] == 'https://REDACTED@host'


def test_the_page_says_that_something_was_left_out(tmp_path):
  """Also of a study.json that an earlier version has written with the secret."""
  write(tmp_path, ROWS)
  command = "python -m experiments.study '--config.corpus.beam=--password=hunter2'"
  (tmp_path / 'study.json').write_text(json.dumps({'command': command}))
  page = Page(report.write_report(tmp_path))
  assert 'hunter2' not in (tmp_path / 'report' / 'index.html').read_text()
  assert '--config.corpus.beam=--password=REDACTED' in page.words
  assert 'What looked like a password or key was left out' in page.words
