"""Fine-tuning on a task's training questions, and answers to the others."""

import dataclasses
from typing import Any

from masklearn import data
from masklearn.evaluation import answering
from masklearn.study import stage
from masklearn.study.setup import Setup
from masklearn.tasks.splits import SPLITS
from masklearn.training import packing, steps
from masklearn.training.context import StageContext
from masklearn.training.steps import Start
from masklearn.types import Task


@dataclasses.dataclass(frozen=True)
class Finetuning(stage.Training):
  """How a model is fine-tuned, and how long its questions and answers may be.

  With packing, a batch has `batch_size` questions on average. Without updates, the
  model is asked as it is: the answer is a hidden span behind the question.
  """

  answer_length: int  # tokens of an answer at most, <s> and </s> included
  # Tokens of a question at most, and of an answer to learn from; longer ones lose their
  # end.
  source_length: int = 256


def finetune(
  setup: Setup,
  task: Task,
  params: Start,
  tuning: Finetuning,
  context: StageContext,
  saving: stage.Saving = stage.Saving(),  # noqa: B008 (a tuple)
) -> dict[str, Any]:
  """Fine-tunes on the task's training questions and answers the others.

  The learning rate, and when to stop, are those of the lowest validation loss; the
  test questions are answered once, by the model that this chose.

  Args:
    setup: tokenizer and model.
    task: the questions.
    params: of the model, to start from.
    tuning: how.
    context: where, and from which seed; gets predictions.jsonl, of the test split.
    saving: time and memory for the same training.

  Returns:
    `validation` and `test` scores, `overlaps` (those of test questions by what they
    share with training ones), `seconds`, the chosen `learning_rate`, its `score` (minus
    the lowest validation loss) and `trials`, the score of each.
  """
  done = stage.finished(context.directory)
  if done:
    return done
  questions = {
    split: data.encode_examples(
      task.split(split),
      setup.tokenizer,
      tuning.source_length,
      task.examples,
      hidden=not tuning.updates,
    )
    for split in SPLITS
  }

  asking = answering.Asking(setup.model, context.layout, context.progress.check)

  def validate(state):
    loss = asking.loss(state.params, questions['validation'])
    return {'score': -loss, 'loss': loss}

  lengths, pad = packing.lengths(questions['train']), setup.tokenizer.specials.pad
  size, layout = tuning.batch_size, context.layout
  order, together = saving.batches(lengths, pad, size, context.seed, layout)

  def batch_at(i):
    index, asked = order[i], questions['train']
    rows = layout.batch(lambda own: data.take(asked, index[own]), len(index))
    return together(layout.split(index >= 0, layout.rows), rows, {})

  def start(rate):
    tx, step = stage.compiled_step(
      setup.model, rate, tuning.updates, tuning.weight_decay, saving, layout
    )
    return step, steps.begin(params, tx), validate

  best, done = tuning.best_of(start, batch_at, context)
  chosen = layout.place(best.params)
  names = list(dict.fromkeys(('em', 'f1', task.metric)))
  for split in ('validation', 'test'):
    answers = asking.answers(
      chosen, questions[split], setup.tokenizer, tuning.answer_length
    )
    done[split] = answering.score(task.split(split), answers, names)
  # The last answers are those of the test.
  path = context.directory / 'predictions.jsonl'
  answering.write_predictions(path, task.test, answers)
  done['overlaps'] = answering.score_overlaps(task.test, answers, task.train)
  return stage.finish(context.directory, done)
