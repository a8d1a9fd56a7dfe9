"""The configs for published models, each run from its first stage to its report."""

import json

import pytest

from experiments import study
from masklearn.io import files
from masklearn.models import pretrained
from masklearn.tasks import people
from tests.runs import command
from tests.test_pretrained import write_hf
from tests.test_published_study import squad

# What makes a run of days one of seconds; all else is as configured.
SHORT = {
  'corpus.longest': 250, 'policy.width': 16, 'learn.episodes': 2,
  'learn.candidates': 4, 'learn.warmup.batch_size': 2, 'supervised.batch_size': 2,
  'pretrain.batch_size': 8, 'finetune.batch_size': 8,
  'finetune.learning_rates': '(1e-4,)', 'study.seeds': 1, 'study.learned_seeds': 1,
  'study.target_seeds': '(1,)', 'study.draws': 5, 'mesh.data': 1,
}  # fmt: skip
for trained in ('learn', 'learn.warmup', 'supervised', 'finetune'):
  SHORT |= {f'{trained}.updates': 2, f'{trained}.validate_every': 2}
SHORT['pretrain.updates'] = 2


def write_data(folder):
  """Articles as WikiExtractor writes them, and questions in each task's format."""
  passages = people.passages(0, size=16, copies=1)
  asked = [(p, s.label, p.text[s.start : s.end]) for p in passages for s in p.spans]
  articles = [{'id': p.id, 'title': p.group, 'text': p.text} for p in passages]
  slots = [
    {'id': f'{i}', 'input': f'{p.group} [SEP] {label}', 'output': [{'answer': answer}]}
    for i, (p, label, answer) in enumerate(asked)
  ]
  questions = [
    {'question': f'what is the {label} of {passage.group}', 'answer': [answer]}
    for passage, label, answer in asked
  ]
  facts = [
    {
      'case_id': p.id,
      'fact': f'that {p.text}?',
      'eval': {'reliability': {'prompt': f'{p.group}?', 'answer': p.text.split()[0]}},
    }
    for p in passages
  ]
  trivia = [
    {'Question': f'{label} of {p.group}?', 'QuestionId': f'{i}',
     'Answer': {'Value': answer}, 'EntityPages': [{'Title': p.group}]}
    for i, (p, label, answer) in enumerate(asked)
  ]  # fmt: skip
  # Of groups that no article has: their contexts are looked for, and half are found.
  gold = [
    {'id': f'{i}', 'question': f'what is the {label} of {p.group}',
     'title': f'{i // 4}', 'context': context,
     'answers': {'text': [answer], 'answer_start': [context.index(answer)]}}
    for i, (p, label, answer) in enumerate(asked)
    for context in [p.text if i % 2 else f'As all know, {p.text}'.replace('. ', '; ')]
  ]  # fmt: skip
  for name, rows in (
    ('wiki', articles), ('zsre', slots), ('nq_open', questions), ('wikidyk', facts),
    ('trivia_qa', trivia), ('squad', gold),
  ):  # fmt: skip
    lines = ''.join(json.dumps(row) + '\n' for row in rows)
    (folder / f'{name}.jsonl').write_text(lines, encoding='utf-8')
  squad(folder / 'squad.json', passages)


OTHERS = 'none,random,random_span,salient,pmi_span,same_sentences_random'


@pytest.mark.slow
@pytest.mark.parametrize(
  ('config', 'family', 'task', 'names'),
  [
    ('bart_base', 'bart', 'nq_open', f'{OTHERS},supervised'),  # as configured
    ('t5_base', 't5', 'zsre', 'none,learned'),
    ('t5_base', 't5', 'wikidyk', 'none,one_span'),
    ('bart_base', 'bart', 'trivia_qa', 'none,learned'),
    ('bart_base', 'bart', 'squad', 'none,learned'),
  ],
)
def test_a_tiny_model_goes_all_the_way(tmp_path, config, family, task, names):
  """Every policy is scored, with as many trials, from the published parameters."""
  write_hf(tmp_path / 'theirs', family, decoder_layers=1)
  pretrained.from_hf(tmp_path / 'theirs', tmp_path / 'ours')
  write_data(tmp_path)
  flags = SHORT | {
    'model.checkpoint': tmp_path / 'ours',
    'corpus.path': tmp_path / 'wiki.jsonl',
    'task.train': tmp_path / '{task}.jsonl',
    'supervised.pairs': tmp_path / 'squad.json',
    'policy.names': names,
  }
  if task == 'wikidyk':  # The facts are the corpus, and nothing is fine-tuned.
    flags |= {'corpus.path': tmp_path / 'wikidyk.jsonl', 'finetune.updates': 0}
  argv = [f'--config=configs/{config}.py:{task}', f'--workdir={tmp_path / "run"}']
  argv += [f'--config.{key}={value}' for key, value in flags.items()]
  assert command(study.main, *argv) == 0
  rows = files.read_jsonl(tmp_path / 'run' / 'results.jsonl')
  assert {row['policy'] for row in rows} == set(names.split(','))
  assert {tuple(row['trials']) for row in rows} == {('0.0001',)}
  words = [row['masked_words'] for row in rows if row['policy'] != 'none']
  assert 0 < max(words) <= 1.02 * min(words)
  assert (tmp_path / 'run' / 'report' / 'index.html').exists()
