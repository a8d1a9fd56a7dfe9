"""Launchers start, watch and start again, with tools that only note down."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import yaml

LAUNCH = pathlib.Path(__file__).parents[1] / 'experiments' / 'launch'
SCRIPTS = sorted(LAUNCH.glob('*.sh'))
assert SCRIPTS


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda script: script.name)
def test_scripts_have_no_fault_that_a_linter_finds(script):
  """Bash can read them, they can be called, and shellcheck has nothing to say."""
  assert os.access(script, os.X_OK)
  subprocess.run(['bash', '-n', script], check=True)
  beside = pathlib.Path(sys.executable).parent
  linter = shutil.which('shellcheck', path=f'{beside}:{os.environ["PATH"]}')
  if not linter:
    pytest.skip('needs shellcheck, of the extra `test`')
  found = subprocess.run([linter, script], capture_output=True, text=True)
  assert found.returncode == 0, found.stdout


@pytest.fixture
def tools(tmp_path, monkeypatch):
  """A folder of commands before all others; `tools(name, script)` adds one."""
  folder = tmp_path / 'tools'
  folder.mkdir()
  monkeypatch.setenv('PATH', f'{folder}:{os.environ["PATH"]}')

  def add(name, script):
    path = folder / name
    path.write_text(f'#!/usr/bin/env bash\n{script}')
    path.chmod(0o755)
    return path

  return add


def launch(name, *flags, **environment):
  """The exit code of a launcher, and what it has said."""
  run = subprocess.run(
    [LAUNCH / name, *flags], env=os.environ | environment, cwd=LAUNCH.parents[1],
    capture_output=True, text=True, timeout=60,
  )  # fmt: skip
  return run.returncode, run.stdout + run.stderr


def coded(tmp_path, *codes):
  """A script that notes its call down and ends with the next of some codes."""
  (tmp_path / 'codes').write_text('\n'.join(map(str, codes)) + '\n')
  return f"""
echo "$JAX_PROCESS_ID/$JAX_NUM_PROCESSES $*" >> {tmp_path}/calls
code=$(head -n1 {tmp_path}/codes); sed -i 1d {tmp_path}/codes; exit "$code"
"""


@pytest.mark.parametrize(
  ('codes', 'ended', 'calls'),
  [((0,), 0, 1), ((2,), 2, 1), ((130,), 130, 1), ((75, 134, 137, 0), 0, 4)],
)
def test_a_local_study_that_lost_a_process_is_started_again(
  tmp_path, tools, codes, ended, calls
):
  """Not one that has ended, was asked to stop, or cannot be run."""
  python = tools('fake-python', coded(tmp_path, *codes))
  code, _ = launch('local.sh', '--config=a b.py', PYTHON=str(python))
  assert code == ended
  said = (tmp_path / 'calls').read_text().splitlines()
  assert said == ['0/1 -m experiments.study --config=a b.py'] * calls


def test_local_processes_are_told_who_they_are(tmp_path, tools):
  """Each once, and with the same command."""
  note = 'echo "$JAX_PROCESS_ID/$JAX_NUM_PROCESSES $*"'
  python = tools('fake-python', f'{note} >> {tmp_path}/calls')
  assert launch('local.sh', PYTHON=str(python), PROCESSES='3')[0] == 0
  said = (tmp_path / 'calls').read_text().splitlines()
  assert sorted(said) == [f'{i}/3 -m experiments.study' for i in range(3)]


@pytest.mark.parametrize('name', ['slurm_nodes.sh', 'slurm_pool.sh'])
@pytest.mark.parametrize(('code', 'again'), [(0, 0), (2, 0), (75, 1), (130, 1)])
def test_a_slurm_job_is_queued_again_unless_it_has_ended(
  tmp_path, tools, name, code, again
):
  """Or cannot be run: a mistake is not repeated."""
  tools('srun', f'echo "srun $*" >> {tmp_path}/calls; exit {code}')
  tools('scontrol', f'echo "scontrol $*" >> {tmp_path}/calls')
  ended, _ = launch(name, '--workdir=w', SLURM_JOB_ID='7', WORKERS='3')
  assert ended == (0 if again else code)
  first, *rest = (tmp_path / 'calls').read_text().splitlines()
  assert '-m experiments.study' in first
  assert '--workdir=w' in first
  assert ('slurm:3' in first) == (name == 'slurm_pool.sh')
  assert rest == ['scontrol requeue 7'] * again


# State, calls and exit codes of a TPU that somebody else may take away.
GCLOUD = """
echo "$*" >> {calls}
case "$*" in
  *describe*state*) cat {state} ;;
  *describe*networkEndpoints*) echo '10.0.0.1;10.0.0.2' ;;
  *create*) echo READY > {state} ;;
  *delete*) echo NONE > {state} ;;
  *scp*) cp "$5" {folder}/archive ;;
  *experiments.study*--config*)
    read -r code after < {codes}; sed -i 1d {codes}
    echo "$after" > {state}; exit "$code" ;;
esac
"""


def test_a_tpu_is_made_again_after_a_preemption_and_deleted_in_the_end(tmp_path, tools):
  """Installed on all workers each time; a study that lost a process runs on."""
  names = {name: tmp_path / name for name in ('calls', 'state', 'codes')}
  tools('gcloud', GCLOUD.format(**names, folder=tmp_path))
  names['state'].write_text('NONE\n')
  names['codes'].write_text('255 PREEMPTED\n75 READY\n0 READY\n')
  given = {'NAME': 'mine', 'ZONE': 'z', 'TYPE': 'v5litepod-16', 'SPOT': '1'}
  code, said = launch('tpu.sh', '--config=a b.py', '--workdir=w', **given, PAUSE='0')
  assert code == 0, said
  assert 'run 1 ended with 255, the TPU is PREEMPTED' in said
  assert 'run 2 ended with 75, the TPU is READY' in said
  calls = names['calls'].read_text()
  lines = calls.splitlines()
  made = [line for line in lines if ' create ' in line]
  assert len(made) == 2
  assert all('--accelerator-type=v5litepod-16' in x and '--spot' in x for x in made)
  assert calls.count("pip install --quiet --editable '.[tpu]'") == 2
  assert calls.count('--config.mesh.processes=2 --config=a\\ b.py --workdir=w') == 3
  assert ' delete mine' in lines[-1]
  assert calls.count('--zone=z') == calls.count('compute tpus tpu-vm')
  listed = subprocess.run(['tar', 'tzf', tmp_path / 'archive'], capture_output=True)
  assert b'masklearn/__init__.py' in listed.stdout


@pytest.mark.parametrize(('keep', 'left'), [('', 'NONE'), ('1', 'READY')])
def test_a_mistake_is_not_run_again_on_a_tpu(tmp_path, tools, keep, left):
  """And leaves nothing that costs money, unless it is to be kept."""
  names = {name: tmp_path / name for name in ('calls', 'state', 'codes')}
  tools('gcloud', GCLOUD.format(**names, folder=tmp_path))
  names['state'].write_text('NONE\n')
  names['codes'].write_text('2 READY\n')
  given = {'NAME': 'mine', 'ZONE': 'z', 'TYPE': 't', 'KEEP': keep, 'PAUSE': '0'}
  code, said = launch('tpu.sh', '--config=c.py', **given)
  assert code == 2, said
  assert names['state'].read_text().strip() == left


def test_what_a_tpu_needs_is_named(monkeypatch):
  """Before anything is made."""
  monkeypatch.delenv('NAME', raising=False)
  code, said = launch('tpu.sh')
  assert code
  assert 'NAME: names the TPU' in said


def test_the_sky_file_gives_each_machine_its_number():
  """A number, an address and a count, from what SkyPilot tells every machine."""
  job = yaml.safe_load((LAUNCH / 'skypilot.yaml').read_text())
  run = job['run'].replace('.venv/bin/python', 'echo "$JAX_PROCESS_ID"')
  run = run.replace('-m', '"$JAX_NUM_PROCESSES $JAX_COORDINATOR_ADDRESS" -m')
  told = {
    'SKYPILOT_NODE_IPS': '10.0.0.1\n10.0.0.2', 'SKYPILOT_NUM_NODES': '2',
    'SKYPILOT_NODE_RANK': '1', 'FLAGS': '--config=c.py --workdir=w',
  }  # fmt: skip
  assert shutil.which('bash')
  said = subprocess.run(
    ['bash', '-c', run], env=os.environ | told, capture_output=True, text=True
  )
  assert said.stdout == (
    '1 2 10.0.0.1:8476 -m experiments.study --config=c.py --workdir=w\n'
  )
