"""A meta-gradient in bergson, in a process and an environment of its own.

Started by `magic.Worker` with a directory, from which it reads `work.json` and
`work.safetensors`. Each line on stdin names a file: the gradient by the decisions is
computed once and written there, and `done` goes to stdout. Nothing else of this project
is imported but `io.memory`, as bergson's environment has no jax.
"""

import json
import pathlib
import sys
import tempfile

import numpy as np
import safetensors.torch
import torch
import torchopt
import transformers
from bergson.magic import trainer as magic
from torchopt import pytree

from masklearn.io import memory


class Model(torch.nn.Module):
  """BART, and its loss with a share or a weight of each token.

  The trainer takes each name of a tied table for a parameter of its own, so there is
  only one here, and encoder and decoder are given embeddings.
  """

  def __init__(self, config, tensors, mask):
    super().__init__()
    self.mask = mask
    settings = {k: v for k, v in config.items() if k != 'architectures'}
    config = transformers.AutoConfig.for_model(settings.pop('model_type'), **settings)
    # 'eager' can be derived twice.
    model = transformers.AutoModelForSeq2SeqLM.from_config(
      config, attn_implementation='eager'
    )
    model.load_state_dict(tensors, strict=False)
    self.body = model.model.to(tensors['model.shared.weight'].dtype)
    self.table = torch.nn.Parameter(tensors['model.shared.weight'].clone())
    self.body.shared = None
    self.body.encoder.embed_tokens = self.body.decoder.embed_tokens = None
    self.register_buffer('bias', tensors['final_logits_bias'].clone())

  def forward(self, input_ids, decoder_input_ids, labels, kind='', example_weight=None):
    """The mean loss of the labels, []; names are those that the trainer looks for."""
    x = self.table[input_ids]  # [P, L, D]
    if kind == 'shares':
      share = example_weight[..., None]
      x = (1 - share) * x + share * self.table[self.mask]
    states = self.body(
      inputs_embeds=x, decoder_inputs_embeds=self.table[decoder_input_ids]
    ).last_hidden_state
    logits = torch.nn.functional.linear(states, self.table, self.bias)
    nll = torch.nn.functional.cross_entropy(
      logits.flatten(0, 1), labels.flatten(), reduction='none'
    ).view(labels.shape)
    if kind == 'shares':  # a token counts as much as it is hidden
      return ((nll * example_weight).sum(-1) / example_weight.sum(-1)).mean()
    if kind == 'weights':
      return (nll * example_weight).mean()
    # The trainer wants every step's gradient to depend on the decisions.
    none = 0 if example_weight is None else 0 * example_weight.sum()
    return nll.mean() * (1 + none)


class Stream:
  """The batches of all steps, with the attributes of bergson's `DataStream`."""

  device = torch.device('cpu')

  def __init__(self, kind, batches):
    self.passages, self.support = dict(batches['steps']), batches.get('support')
    self.weights = torch.nn.Parameter(self.passages.pop('decisions'))  # [K, P, L]
    self.kind = kind

  @property
  def requires_grad(self):
    """Whether decisions get a gradient."""
    return self.weights.requires_grad

  @requires_grad.setter
  def requires_grad(self, value):
    self.weights.requires_grad = value

  def __len__(self):
    return len(self.weights) + bool(self.support)

  def __getitem__(self, i):
    if i == len(self.weights):
      return {**self.support, 'example_weight': self.weights}
    batch = {name: x[i] for name, x in self.passages.items()}
    return {**batch, 'kind': self.kind, 'example_weight': self.weights[i]}


def make_optimizer(given):
  """An optimizer of TorchOpt, whose moments may be those after some training."""
  given = dict(given)
  warm = {name: given.pop(name) for name in ('nu', 'count') if name in given}
  optimizer = getattr(torchopt, given.pop('name'))(**given)

  def init(params):
    states = optimizer.init(params)
    for name, value in warm.items():
      for x in getattr(states[0], name):
        x.fill_(value)
    return states

  return type(optimizer)(init, optimizer.update)


def make_gradient(work, batches):
  """A function that gives the gradient of the outer loss by the decisions, [K, P, L].

  Args:
    work: what `magic.Worker` has written.
    batches: its tensors, by the first part of their names and by the rest.
  """
  model = Model(work['config'], batches['params'], work['mask'])
  stream = Stream(work['kind'], batches)
  trainer, start = magic.Trainer.initialize(model, make_optimizer(work['optimizer']))

  def run():
    state, how = start.to('cpu'), {'inplace': True, **work['trainer']}
    stream.requires_grad = False
    with tempfile.TemporaryDirectory() as directory:
      state = trainer.train(state, stream, save_dir=directory, **how)
      with state.activate(model) as params:
        slopes = torch.autograd.grad(model(**batches['query']), list(params.values()))
      moments = [
        torch.zeros_like(x)
        for x in pytree.tree_iter(state.opt_state)
        if isinstance(x, torch.Tensor) and x.is_floating_point()
      ]
      slopes = dict(zip(params, slopes, strict=True))
      none = torch.zeros_like(stream.weights)
      end = magic.BackwardState(slopes, moments, none)
      found = trainer.backward(directory, stream, end, state, **how)
    return found.weight_grads.numpy()

  return run


def main(directory: pathlib.Path):
  """Answers until stdin ends."""
  memory.keep()
  work = json.loads((directory / 'work.json').read_text())
  batches = {}
  for name, x in safetensors.torch.load_file(directory / 'work.safetensors').items():
    part, _, rest = name.partition('/')
    x = x.to(getattr(torch, work['dtype'])) if x.is_floating_point() else x.long()
    batches.setdefault(part, {})[rest] = x
  run = make_gradient(work, batches)
  del batches['params']
  memory.release()
  print('ready', flush=True)
  for line in sys.stdin:
    np.save(line.rstrip('\n'), run())
    print('done', flush=True)


if __name__ == '__main__':
  main(pathlib.Path(sys.argv[1]))
