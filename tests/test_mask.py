"""Masks of files: what is hidden, in what order, and what a crash leaves."""

import gzip
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import pytest

from experiments import app, mask
from masklearn import policies, text
from masklearn.masking import apply, infill, text_files
from masklearn.policies import pretraining
from masklearn.types import InputError
from tests import documents, runs
from tests.small import slow_case

ROOT = pathlib.Path(__file__).parents[1]
LENGTH = '24'
TEXTS = [
  'Oslo is the capital of Norway, and Lima that of Peru. They pay in kroner there.',
  'One',
  'In May 1999 Zürich had 東京 as its guest; the “Löwen” of Bern won 3,5 % more.',
  '!',
  ' '.join(f'Word{i} is here.' for i in range(40)),
  'A_b  c\td \n e',
]


def write(path, texts=TEXTS):
  """Documents as JSON lines."""
  return documents.lines(path, *({'text': t} for t in texts))


@pytest.fixture
def command(tmp_path, capsys):
  """Returns `call(policy, *flags) -> (exit code, rows, stdout, stderr)` on a file."""

  def call(policy, *flags, source=None, output='out.jsonl'):
    source = source or write(tmp_path / 'in.jsonl')
    output = tmp_path / output
    arguments = (f'--policy={policy}', f'--input={source}', f'--output={output}')
    with pytest.raises(SystemExit) as end:
      app.run(mask.main, ['mask', *arguments, f'--length={LENGTH}', *flags])
    rows = output.read_text(encoding='utf-8').splitlines() if output.exists() else []
    return end.value.code, [json.loads(row) for row in rows], *capsys.readouterr()

  return call


def touched(row, places):
  """Those of words or tokens [start, end) of a row that begin in a hidden span."""
  return [p for p in places if any(a <= p[0] < b for a, b, _ in row['spans'])]


def check(rows, form='t5', target='spans'):
  """Spans in order, inside the text, and a pair that gives back the text."""
  for row in rows:
    body, at = row['text'], 0
    for start, end, share in row['spans']:
      assert at <= start < end <= len(body)
      assert body[start:end] == body[start:end].strip()
      assert 0 < share <= 1
      at = end
    spans = [s[:2] for s in row['spans']]
    pair = row['source'], row['target']
    assert pair == infill.pair(body, spans, form, target)
    if target == 'spans':
      assert infill.restore(*pair, form) == body


@pytest.mark.parametrize(
  ('policy', 'form', 'target'),
  [
    slow_case('random', 't5', 'spans'),
    ('salient', 'bart', 'spans'),
    ('random_span', 'bart', 'full'),
    slow_case('pmi_span', 't5', 'spans'),
    ('original', 'bart', 'spans'),
  ],
)
def test_every_passage_is_masked_in_order_and_within_its_budget(
  command, policy, form, target
):
  """Words are tokens here; a long document is cut between sentences."""
  code, rows, said, _ = command(
    policy, f'--format={form}', f'--target={target}', '--rate=0.3'
  )
  assert code == 0
  check(rows, form, target)
  parts = [r for r in rows if r['id'].startswith('in-5/')]
  ids = ['in-1', 'in-2', 'in-3', 'in-4', *(p['id'] for p in parts), 'in-6']
  assert [r['id'] for r in rows] == ids
  assert ' '.join(p['text'] for p in parts) == TEXTS[4]
  assert [r['text'] for r in rows if '/' not in r['id']] == [*TEXTS[:4], TEXTS[5]]
  for row in rows:
    words = text.words(row['text'])
    assert len(words) <= int(LENGTH)
    if policy != 'original':
      assert len(touched(row, words)) == max(1, round(0.3 * len(words)))
  assert f'{len(rows)} passages of 6 records' in said


def test_a_span_s_probability_is_that_of_its_words(command, tmp_path):
  """Of random words their share; of two salient spans for one word, a half."""
  _, rows, _, _ = command('random', '--rate=0.3')
  for row in rows:
    count = len(text.words(row['text']))
    share = max(1, round(0.3 * count)) / count
    for *_, found in row['spans']:
      assert found == pytest.approx(share, abs=1e-3)
  source = write(tmp_path / 'two.jsonl', ['we saw Oslo and then saw Lima here'])
  _, rows, _, _ = command('salient', '--rate=0.1', source=source, output='b.jsonl')
  assert [s[2] for s in rows[0]['spans']] == [pytest.approx(0.5, abs=1e-3)]


def test_a_draw_depends_on_the_record_and_on_nothing_beside_it(command, tmp_path):
  """The same passages among others, the same spans; another seed, others."""
  _, whole, _, _ = command('random_span', output='a.jsonl')
  fewer = write(tmp_path / 'fewer.jsonl', [*TEXTS[:3], ''])
  _, part, _, _ = command('random_span', source=fewer, output='b.jsonl')
  assert [r['spans'] for r in part] == [r['spans'] for r in whole[:3]]
  _, other, _, _ = command('random_span', '--seed=1', output='c.jsonl')
  assert [r['spans'] for r in other] != [r['spans'] for r in whole]


def test_plain_text_and_gzip_give_the_same_masks(command, tmp_path):
  """Documents between empty lines; what is packed is unpacked."""
  body = '\n\n\n'.join(TEXTS[:3])
  (tmp_path / 'a.txt').write_text(body, encoding='utf-8')
  (tmp_path / 'a.txt.gz').write_bytes(gzip.compress(body.encode()))
  _, plain, _, _ = command('salient', source=tmp_path / 'a.txt', output='1.jsonl')
  _, packed, _, _ = command('salient', source=tmp_path / 'a.txt.gz', output='2.jsonl')
  assert [r['text'] for r in plain] == TEXTS[:3]
  assert plain == packed


def test_tokens_of_a_tokenizer_can_be_hidden(command, tmp_path):
  """Single ones, but for a space that is one; and T5's spans, of any tokens."""
  flags = f'--tokenizer={tmp_path}', '--length=90', '--rate=0.2'
  tokenizer = text.train_tokenizer(TEXTS, 300)  # mostly letters
  tokenizer.save(tmp_path / 'tokenizer.json')
  code, rows, _, _ = command('random_token', *flags, output='a.jsonl')
  assert code == 0
  check(rows)
  for row in rows:
    offsets = tokenizer.encode(row['text']).offsets
    spaces = sum(not row['text'][a:b].strip() for a, b in offsets)
    most = max(1, round(0.2 * len(offsets)))
    assert most - spaces <= len(row['spans']) <= most
    # Bytes of a character hide all of it.
    assert all([a, b] in [list(o) for o in offsets] for a, b, _ in row['spans'])
  tokenizer = text.train_tokenizer(TEXTS, 3000)  # words
  tokenizer.save(tmp_path / 'tokenizer.json')
  code, rows, _, _ = command('original', *flags, output='b.jsonl')
  check(rows)
  tokens = tokenizer.encode(rows[0]['text']).offsets
  hidden, spans = pretraining.t5_sizes(90, 0.2, 3.0)[:, len(tokens)]
  assert (len(touched(rows[0], tokens)), len(rows[0]['spans'])) == (hidden, spans)


@pytest.mark.parametrize('name', ['learned', slow_case('moved')])
def test_a_directory_masks_as_the_policy_that_it_holds(command, tmp_path, name):
  """With its own rate and tokenizer; or as the reference of a control."""
  tokenizer = text.train_tokenizer(TEXTS, 300)
  spec = policies.describe_policy(
    'learned', 0.3, vocab_size=tokenizer.size, longest=3, width=8, embedding=6
  )
  theta = policies.make_policy(spec).init(jax.random.key(0))
  # Scores that are far apart.
  theta['span'] = jax.tree.map(lambda x: x + 8.0, theta['span'])
  policies.save_policy(tmp_path / 'policy', spec, theta, tokenizer)
  flags = (str(tmp_path / 'policy'),)
  if name == 'moved':
    flags = 'same_sentences_random', f'--reference={tmp_path / "policy"}'
  code, rows, _, _ = command(*flags, '--length=60')
  assert code == 0
  check(rows)
  for row in rows:
    words = text.words(row['text'])
    assert len(touched(row, words)) == max(1, round(0.3 * len(words)))


def test_bad_records_are_named_and_counted(command, tmp_path):
  """By file and line; what cannot be restored or read at once is among them."""
  source = tmp_path / 'bad.jsonl'
  documents.lines(
    source, {'text': 'Good one.'}, 'no json', {'txt': 1}, r'{"text": "\ud800"}',
    {'text': 'a <extra_id_3> b'}, {'text': 'Good two.'}, '{"text": "x',
  )  # fmt: skip
  code, rows, said, errors = command('random', source=source)
  assert code == 0
  assert [r['text'] for r in rows] == ['Good one.', 'Good two.']
  for line in (2, 3, 4, 5, 7):
    assert f'skipped {source}:{line}: ' in errors
  assert '2 passages of 2 records' in said
  assert '5 records skipped' in said


def test_a_word_that_is_too_long_is_cut_and_that_is_said(command, tmp_path):
  """By the tokens of a passage, or the letters of a word; nothing of it is lost."""
  tokenizer = text.train_tokenizer(['a'], 261)
  tokenizer.save(tmp_path / 'tokenizer.json')
  bodies = ['a b ' + 30 * 'x', 'c d', 'x' * 250 + ' e', 'नि' * 9 + ' 字字字字字字字字']
  source = write(tmp_path / 'long.jsonl', bodies)
  flags = f'--tokenizer={tmp_path}', '--length=20'
  code, rows, _, errors = command('random', *flags, source=source)
  assert code == 0
  found = ''.join(row['text'] for row in rows)
  assert found.replace(' ', '') == ''.join(bodies).replace(' ', '')
  cut = [line for line in errors.splitlines() if 'is cut' in line]
  assert [f'{source}:{i}: ' in ''.join(cut) for i in (1, 2, 3, 4)] == [1, 0, 1, 1]
  assert all(
    'न' not in row['text'] or row['text'].endswith(('ि', '字')) for row in rows
  )


def test_nothing_usable_is_an_error_and_leaves_nothing(command, tmp_path):
  """Exit code 2; the output's name is free for another try."""
  (tmp_path / 'bad.jsonl').write_text('no\n{"text": ""}\n')
  code, _, _, errors = command('random', source=tmp_path / 'bad.jsonl')
  assert code == 2
  assert 'no usable record; 2 are bad' in errors
  assert [p.name for p in tmp_path.iterdir()] == ['bad.jsonl']
  (tmp_path / 'empty.jsonl').write_text('')
  assert command('random', source=tmp_path / 'empty.jsonl')[0] == 2


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    (('salint',), 'salient'),
    (('annotated',), 'questions'),
    (('salient', '--reference=random'), 'no reference'),
    (('random', '--collocations=c.json'), 'no use for collocations'),
    (('pmi_span', '--collocations=c.json'), 'c.json'),
    (('random', '--rate=2'), 'rate=2.0'),
    (('random', '--rate=many'), '--rate=many'),
    (('random', '--length=0'), 'length=0'),
    (('random', '--format=bert'), 'bart, t5'),
    (('random', '--target=ful'), 'spans, full'),
    (('salient', '--annotator=rule'), 'rules'),
    (('random', '--frmat=t5'), 'nearest: --format'),
    (('random', f'--seed={2**32}'), 'from 0 to 4294967295, got 4294967296'),
    (('random', f'--seed={10**30}'), 'from 0 to 4294967295'),
    (('random', '--seed=-1'), 'from 0 to 4294967295'),
    (('x' * 256,), '255 are the most'),
    (('random', '--output=in.jsonl/x'), 'in.jsonl cannot be read or written'),
    (('random', f'--output={"x" * 256}'), '255 are the most'),
    (('random', '--html=out.jsonl'), 'the same, out.jsonl'),
    (('random', '--html=./in.jsonl'), 'not a page of masks'),
    (('random', '--html=in.jsonl/x'), 'no folder'),
    (('random', f'--html={"x" * 256}'), '255 are the most'),
  ],
)
def test_a_mistake_is_one_line_and_makes_nothing(
  command, tmp_path, monkeypatch, flags, message
):
  """Exit code 2, before anything is written."""
  write(tmp_path / 'in.jsonl')
  monkeypatch.chdir(tmp_path)
  policy, *flags = flags
  # A flag that is given twice counts as it was given last.
  code, _, _, errors = command(policy, '--output=out.jsonl', *flags)
  assert code == 2
  assert errors.startswith('error: ')
  assert errors.count('\n') == 1
  assert message in errors
  assert [p.name for p in tmp_path.iterdir()] == ['in.jsonl']


def test_a_finished_output_is_not_made_again_and_no_other_is_touched(command, tmp_path):
  """The same command says so; other arguments, and a stranger's file, are refused."""
  source = write(tmp_path / 'in.jsonl')
  command('random', source=source)
  before = (tmp_path / 'out.jsonl').stat().st_mtime_ns
  code, _, said, errors = command('random', source=source)
  assert code == 0
  assert 'nothing to do' in errors
  assert 'passages of 6 records' in said
  code, _, _, errors = command('random', '--seed=3', source=source)
  assert code == 2
  assert 'seed 0, and not with 3' in errors
  assert (tmp_path / 'out.jsonl').stat().st_mtime_ns == before
  (tmp_path / 'thesis.jsonl').write_text('"mine"')
  assert command('random', output='thesis.jsonl')[0] == 2
  assert command('random', output='in.jsonl')[0] == 2
  (tmp_path / 'page.html').write_text('mine')
  code, _, _, errors = command('random', f'--html={tmp_path / "page.html"}', output='b')
  assert (code, (tmp_path / 'page.html').read_text()) == (2, 'mine')
  assert 'not a page of masks' in errors


def test_the_page_shows_probabilities_and_no_text_as_markup(command, tmp_path):
  """Every passage with its tokens, the policy and one draw; made again if asked."""
  source = write(tmp_path / 'in.jsonl', ['<script>alert(1)</script> & Oslo', TEXTS[0]])
  page = tmp_path / 'page.html'
  for _ in range(2):
    code, rows, said, _ = command('salient', f'--html={page}', source=source)
    assert code == 0
    assert str(page) in said
  found = runs.Page(page)
  assert '<script>alert(1)</script> & Oslo' in ''.join(found.text)
  (shown,) = (json.loads(body) for marks, body in found.scripts if marks.get('id'))
  assert [p['id'] for p in shown] == ['in-1', 'in-2']
  (name, shares), (_, drawn) = shown[1]['policies']
  assert name == 'salient spans'
  words = [p[0] for p in shown[1]['fragments'] if p[1] >= 0]
  assert ''.join(p[0] for p in shown[1]['fragments']) == TEXTS[0]
  by_word = dict(zip(words, shares, strict=True))
  assert by_word['Norway'] > 0.3
  assert by_word['capital'] == 0
  hidden = {p for p, d in zip(words, drawn, strict=True) if d}
  assert hidden == {rows[1]['text'][a:b] for a, b, _ in rows[1]['spans']}


def test_interruptions_do_not_change_the_output(command, tmp_path, monkeypatch):
  """Stopped after every group, and gone on with: the same bytes in the end."""
  texts = [f'{TEXTS[i % 6]} It is number {i}.' for i in range(60)] + ['no <extra_id_1>']
  source = write(tmp_path / 'many.jsonl', texts)
  command('random_span', source=source, output='whole.jsonl')
  monkeypatch.setattr(text_files, 'GROUP', 16)
  add, stops = text_files.files.ResumableFile.add, []

  def add_and_stop(self, lines, state):
    add(self, lines, state)
    stops.append(state)
    os.kill(os.getpid(), signal.SIGTERM)

  monkeypatch.setattr(text_files.files.ResumableFile, 'add', add_and_stop)
  codes = []
  while not codes or codes[-1]:
    codes.append(command('random_span', source=source, output='parts.jsonl')[0])
    assert len(codes) < 20
  assert len(codes) > 3
  assert set(codes[:-1]) == {130}
  assert [s['skipped'] for s in stops][-1] == 1
  whole, parts = (tmp_path / f'{n}.jsonl' for n in ('whole', 'parts'))
  assert whole.read_bytes() == parts.read_bytes()


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_to_the_same_bytes(tmp_path):
  """`kill -9` of a process as a user starts it, after it has written some."""
  source = write(tmp_path / 'in.jsonl', [f'Line {i} of many.' for i in range(9000)])
  whole, out = tmp_path / 'whole.jsonl', tmp_path / 'out.jsonl'
  with text_files.Progress() as progress:
    text_files.run(
      text_files.Order('random', str(source), str(whole), length=24), progress
    )
  cache = jax.config.jax_compilation_cache_dir or tmp_path / 'cache'
  command = [
    *(sys.executable, '-m', 'experiments.mask', '--policy=random', '--length=24'),
    *(f'--input={source}', f'--output={out}'),
  ]
  more = {'JAX_COMPILATION_CACHE_DIR': str(cache), 'PYTHONPATH': str(ROOT)}
  start = {'cwd': ROOT, 'env': os.environ | more, 'stderr': subprocess.PIPE}
  process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **start)
  part = out.with_suffix('.jsonl.partial')
  deadline = time.monotonic() + 300
  while not (part.exists() and part.stat().st_size):
    assert process.poll() is None, process.stderr.read()
    assert time.monotonic() < deadline
    time.sleep(0.001)
  os.kill(process.pid, signal.SIGKILL)
  process.wait()
  process.stderr.close()
  assert part.exists()
  assert not out.exists()
  start['stdout'] = subprocess.PIPE
  done = subprocess.run(command, timeout=300, check=True, **start)
  assert b'9000 passages' in done.stdout
  assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize('name', policies.POLICIES)
def test_a_name_is_a_policy_or_says_what_it_needs(name):
  """No name of the registry is forgotten."""
  needs = {
    'none': 'hides nothing',
    **dict.fromkeys(
      (n for n, e in policies.POLICIES.items() if e.trained_by), 'directory'
    ),
    'annotated': 'questions of a task',
    **dict.fromkeys(('random_token', 'original'), 'tokenizer'),
    'same_sentences_random': 'reference',
  }
  if name in needs:
    with pytest.raises(InputError, match=needs[name]):
      apply.choose(name)
  else:
    chosen = apply.choose(name)
    assert (chosen.name, chosen.rate, chosen.theta) == (name, apply.RATE, {})
