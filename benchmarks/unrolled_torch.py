"""The meta-gradient in PyTorch: Hugging Face's model, steps that can be differentiated.

Everything imports PyTorch late, as the extra `parity` may not be there.
"""

from benchmarks import bilevel, model_sizes


def make_gradient(library: str, pair: model_sizes.Pair, work: bilevel.Work, dtype: str):
  """A function that gives what our side does, as numpy: [K * P, L].

  Args:
    library: a key of `OUTER_LOSSES`.
    pair: the model.
    work: what to do with it.
    dtype: of the model and of everything that is no token.
  """
  import torch

  kind = getattr(torch, dtype)
  # 'eager' can be derived twice.
  model = _soft(model_sizes.peer(pair, attention='eager').to(kind))

  def tensor(x):
    return torch.tensor(x, dtype=kind if x.dtype.kind == 'f' else torch.long)

  whole, shifted = map(tensor, work.whole)
  questions = [
    (tensor(q.source), None, *map(tensor, (q.decoder_input, q.target, q.weight)))
    for q in (work.support, work.query)
  ]

  def run():
    shares = tensor(work.shares).requires_grad_()
    padded = torch.nn.functional.pad(shares, (1, 1))
    passages = zip(whole, padded, shifted, whole, padded, strict=True)
    outer = OUTER_LOSSES[library](model, [*passages, *questions])
    (gradient,) = torch.autograd.grad(outer, shares)
    return gradient.flatten(0, 1).numpy()

  return run


def _soft(model):
  """BART as a module that reads tokens of which a share is `<mask>`, and its loss."""
  import torch

  class Soft(torch.nn.Module):
    def __init__(self):
      super().__init__()
      self.model = model

    def forward(self, source, shares, decoder_input, target, weight):
      table = self.model.model.shared
      x = table(source)
      if shares is not None:
        hidden = table(torch.full((1, 1), bilevel.IDS.mask))
        x = (1 - shares[..., None]) * x + shares[..., None] * hidden
      logits = self.model(inputs_embeds=x, decoder_input_ids=decoder_input).logits
      nll = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), target.flatten(), reduction='none'
      ).view(target.shape)
      return ((nll * weight).sum(-1) / weight.sum(-1)).mean()

  return Soft()


def _higher(model, batches):
  """The loss of the last batch, after a step on each of the others."""
  import higher
  import torch

  optimizer = torch.optim.SGD(model.parameters(), lr=bilevel.RATE)
  with higher.innerloop_ctx(model, optimizer) as (functional, inner):
    for batch in batches[:-1]:
      inner.step(functional(*batch))
    return functional(*batches[-1])


def _torchopt(model, batches):
  """The same, with the library's functional optimizer.

  Its `MetaSGD` would not do: it updates each module by itself, and the table that
  encoder, decoder and output share would become three after the first step.
  """
  import torch
  import torchopt

  names, params = zip(*model.named_parameters(), strict=True)
  optimizer = torchopt.FuncOptimizer(torchopt.sgd(bilevel.RATE))

  def loss(batch):
    named = dict(zip(names, params, strict=True))
    return torch.func.functional_call(model, named, batch)

  for batch in batches[:-1]:
    params = optimizer.step(loss(batch), params)
  return loss(batches[-1])


OUTER_LOSSES = {'higher': _higher, 'torchopt': _torchopt}
