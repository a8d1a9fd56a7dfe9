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
from masklearn.types import Task


@dataclasses.dataclass(frozen=True)
class Finetuning(stage.Training):
  """How a model is fine-tuned, and how long its questions and answers may be.

  With packing, a batch has `batch_size` questions on average.
  """

  answer_length: int  # tokens of an answer at most, <s> and </s> included
  # Tokens of a question at most, and of an answer to learn from; longer ones lose their
  # end.
  source_length: int = 256


def finetune(
  setup: Setup,
  task: Task,
  params: Any,
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
      task.split(split), setup.tokenizer, tuning.source_length, task.examples
    )
    for split in SPLITS
  }

  def validate(state):
    asked, check = questions['validation'], context.progress.check
    loss = answering.question_loss(setup.model, state.params, asked, check=check)
    return {'score': -loss, 'loss': loss}

  lengths, pad = packing.lengths(questions['train']), setup.tokenizer.specials.pad
  order, together = saving.batches(lengths, pad, tuning.batch_size, context.seed)

  def batch_at(i):
    return together(order[i], data.take(questions['train'], order[i]), {})

  def start(rate):
    tx, step = stage.compiled_step(
      setup.model, rate, tuning.updates, tuning.weight_decay, saving
    )
    return step, steps.init_state(params, tx), validate

  state, done = tuning.best_of(start, batch_at, context)
  names = list(dict.fromkeys(('em', 'f1', task.metric)))
  for split in ('validation', 'test'):
    answers = answering.answer(
      setup.model,
      state.params,
      questions[split],
      setup.tokenizer,
      tuning.answer_length,
      check=context.progress.check,
    )
    done[split] = answering.score(task.split(split), answers, names)
  # The last answers are those of the test.
  path = context.directory / 'predictions.jsonl'
  answering.write_predictions(path, task.test, answers)
  done['overlaps'] = answering.score_overlaps(task.test, answers, task.train)
  return stage.finish(context.directory, done)
