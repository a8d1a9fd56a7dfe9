"""A folder of objects in a bucket of Google Cloud Storage, and who may write it.

Needs the extra `gcs`. `STORAGE_EMULATOR_HOST` names a server that is not Google's.
"""

import base64
import contextlib
import datetime
import hashlib
import json
import os
import pathlib
import platform
import uuid
import warnings
from typing import Any

from masklearn.types import InputError

SCHEME = 'gs://'
LEASE = '.lease'
LOST = 180  # seconds without a sign of life, after which a lease is anybody's


class Bucket:
  """The objects below `gs://BUCKET/FOLDER`, by their names in it."""

  def __init__(self, url: str):
    """Connects; nothing is read.

    Raises:
      InputError: the URL names no folder of a bucket, the extra `gcs` is not installed,
        or there are no credentials.
    """
    name, _, folder = url.removeprefix(SCHEME).strip('/').partition('/')
    if not url.startswith(SCHEME) or not name or not folder:
      raise InputError(f'A folder in a bucket is gs://BUCKET/FOLDER, got {url:.200}.')
    self.url = f'{SCHEME}{name}/{folder}'
    self._prefix, self._bucket = folder + '/', _client(self.url).bucket(name)

  def sums(self) -> dict[str, str]:
    """The MD5 of each object by name, in hexadecimal digits."""
    with self._named():
      blobs = list(self._bucket.list_blobs(prefix=self._prefix))
    return {
      blob.name.removeprefix(self._prefix): base64.b64decode(blob.md5_hash or '').hex()
      for blob in blobs
    }

  def read(self, name: str) -> bytes | None:
    """The content of an object; None if there is none."""
    from google.cloud import exceptions

    with self._named():
      try:
        return self._blob(name).download_as_bytes()
      except exceptions.NotFound:
        return None

  def write(self, name: str, content: bytes, replace: int | None = None) -> int | None:
    """Writes an object; returns its generation.

    Args:
      name: of the object.
      content: all of it.
      replace: the generation that must be there, 0 for none: otherwise nothing is
        written, and None returned. None writes whatever is there.
    """
    from google.api_core import exceptions

    blob = self._blob(name)
    with self._named():
      try:
        blob.upload_from_string(content, if_generation_match=replace)
      except exceptions.PreconditionFailed:
        return None
    return int(blob.generation)

  def remove(self, name: str) -> None:
    """Removes an object, if it is there."""
    from google.cloud import exceptions

    with self._named(), contextlib.suppress(exceptions.NotFound):
      self._blob(name).delete()

  def upload(self, name: str, path: pathlib.Path) -> None:
    """Writes an object from a file."""
    with self._named():
      self._blob(name).upload_from_filename(path)

  def download(self, name: str, path: pathlib.Path) -> None:
    """Writes a file from an object."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'{path.name}.partial')
    with self._named():
      self._blob(name).download_to_filename(partial)
    os.replace(partial, path)

  def state(self, name: str) -> tuple[int, float] | None:
    """The generation of an object, and how many seconds ago it was written."""
    with self._named():
      blob = self._bucket.get_blob(self._prefix + name)
    if blob is None:
      return None
    age = datetime.datetime.now(datetime.UTC) - blob.updated
    return int(blob.generation), age.total_seconds()

  def _blob(self, name):
    return self._bucket.blob(self._prefix + name)

  @contextlib.contextmanager
  def _named(self):
    """Says in one line what the service refused."""
    import requests
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    try:
      yield
    except (exceptions.GoogleAPIError, GoogleAuthError, requests.RequestException) as e:
      said = ' '.join(f'{type(e).__name__}: {e}'.split())
      raise InputError(f'{self.url} cannot be used: {said:.200}') from e


class Lease:
  """The right of one process to write a folder, kept by signs of life.

  Unlike a lock of a file system it does not end with the process: one that was killed
  keeps others out for `LOST` seconds.
  """

  def __init__(self, bucket: Bucket, lost: float = LOST):
    """Takes it.

    Raises:
      InputError: another process has it; names it.
    """
    self._bucket = bucket
    # Process numbers and names of hosts come twice, in containers above all.
    mine = {'process': os.getpid(), 'host': platform.node(), 'id': uuid.uuid4().hex}
    self._content = json.dumps(mine).encode()
    self._generation: int | None = 0
    generation, age = bucket.state(LEASE) or (0, lost)
    if age >= lost:
      self._generation = generation
    if by := self.renew():
      raise InputError(f'{bucket.url} is in use by {by}.')

  def renew(self) -> str:
    """Gives a sign of life; returns who has the folder instead, '' for nobody."""
    if self._generation is None:
      return _said(self._bucket.read(LEASE))
    written = self._bucket.write(LEASE, self._content, self._generation)
    if written is None:
      found = self._bucket.read(LEASE)
      # The answer to the last sign of life may have been lost, and not the sign.
      there = self._bucket.state(LEASE) if found == self._content else None
      self._generation = written = there and there[0]
      return '' if written else _said(found)
    self._generation = written
    return ''

  def release(self) -> None:
    """Lets others in, unless they are."""
    if not self.renew():
      self._bucket.remove(LEASE)


def _said(content: bytes | None) -> str:
  try:
    who: Any = json.loads(content or b'')
    return f'process {who["process"]} on {who["host"]}'
  except (ValueError, KeyError, TypeError):
    return 'another process'


def _client(url):
  try:
    with warnings.catch_warnings():  # of libraries that it could do with
      warnings.simplefilter('ignore', ImportWarning)
      from google.auth import exceptions
      from google.cloud import storage
  except ImportError as error:
    raise InputError(
      f"{url} needs the extra `gcs`: pip install 'masklearn[gcs]'."
    ) from error
  if os.environ.get('STORAGE_EMULATOR_HOST'):
    return storage.Client.create_anonymous_client()
  try:
    return storage.Client()
  except (exceptions.GoogleAuthError, OSError) as error:
    said = ' '.join(str(error).split())
    raise InputError(f'{url} needs credentials: {said:.200}') from error


def md5(path: pathlib.Path) -> str:
  """The MD5 of a file, in hexadecimal digits."""
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'md5').hexdigest()
