"""A server of Google Cloud Storage for tests, with what the emulator leaves out."""

import contextlib
import http
import socket
from unittest import mock

from gcp_storage_emulator import exceptions, server
from gcp_storage_emulator.handlers import objects

BUCKET = 'bucket'


@contextlib.contextmanager
def emulator():
  """A server that keeps objects in memory; yields its address."""
  with socket.socket() as free:
    free.bind(('localhost', 0))
    port = free.getsockname()[1]
  upload = mock.patch.object(objects, '_multipart_upload', _conditional)
  made = server.create_server('localhost', port, in_memory=True, default_bucket=BUCKET)
  with upload:
    made.start()
    try:
      yield f'http://localhost:{port}'
    finally:
      made.stop()


_upload = objects._multipart_upload


def _conditional(request, response, storage):
  """An upload that heeds `ifGenerationMatch`, as Google's does."""
  if 'ifGenerationMatch' in request.query:
    bucket = request.params['bucket_name']
    name = request.query.get('name', [request.data['meta'].get('name')])[0]
    try:
      there = int(storage.get_file_obj(bucket, name)['generation'])
    except exceptions.NotFound:
      there = 0
    if there != int(request.query['ifGenerationMatch'][0]):
      response.status = http.HTTPStatus.PRECONDITION_FAILED
      response.json({'error': {'code': 412, 'message': 'conditionNotMet'}})
      return
  _upload(request, response, storage)
