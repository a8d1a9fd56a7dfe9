"""Several processes of one job on this machine, joined as by a launcher."""

import os
import pathlib
import socket
import subprocess
import sys

from masklearn.io import hosts

ROOT = pathlib.Path(__file__).parents[1]


def free_port():
  """A port that nobody listens at."""
  with socket.socket() as listening:
    listening.bind(('localhost', 0))
    return listening.getsockname()[1]


def start(
  count: int, arguments: list[str], devices: int = 1, **environment: str
) -> list[subprocess.Popen]:
  """Starts `python ARGUMENTS` so many times; their errors can be read from them.

  Args:
    count: of processes; a single one joins nobody.
    arguments: of Python.
    devices: of each process.
    **environment: of each, beside this one's.
  """
  address, processes = f'localhost:{free_port()}', []
  flags = os.environ.get('XLA_FLAGS', '').split()
  kept = [flag for flag in flags if 'device_count' not in flag]
  given = os.environ | {
    'JAX_PLATFORMS': 'cpu',
    'XLA_FLAGS': ' '.join([*kept, f'--xla_force_host_platform_device_count={devices}']),
    'PYTHONPATH': str(ROOT),
    **environment,
  }
  for number in range(count):
    own = address, str(count), str(number)
    environment = given | dict(zip(hosts.EXPLICIT, own, strict=True))
    command = [sys.executable, *arguments]
    pipes = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.PIPE, 'text': True}
    processes.append(subprocess.Popen(command, cwd=ROOT, env=environment, **pipes))
  return processes


def ended(processes: list[subprocess.Popen], seconds: float) -> list[tuple[int, str]]:
  """The exit code of each process, and what it has said; none outlives this.

  Raises:
    subprocess.TimeoutExpired: one has hung.
  """
  try:
    found = [process.communicate(timeout=seconds)[1] for process in processes]
  finally:
    for process in processes:
      process.kill()
  return [(p.returncode, said) for p, said in zip(processes, found, strict=True)]


def finish(count: int, arguments: list[str], devices: int = 1, **environment) -> None:
  """Runs processes to their end, which must be a good one."""
  for code, said in ended(start(count, arguments, devices, **environment), 3600):
    assert code == 0, said
