"""Batch jobs by Amazon Bedrock: the photos lie in an S3 bucket of one's own meanwhile.

A job reads `FOLDER/JOB.jsonl`, records of Converse's form, and writes below `FOLDER/JOB/`: lines of
answers with the questions in them, in any order, and `manifest.json.out`. Its forms are those of
botocore 1.44's model `bedrock` and of the user guide's pages on batch inference; docs/batch.md says
where the limits are from.
"""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any, ClassVar, NamedTuple

import httpx2
from botocore.exceptions import BotoCoreError, ClientError

from picture_captioner.backends.base import CaptionBackend
from picture_captioner.backends.bedrock import BedrockOptions
from picture_captioner.backends.http_service import NO_PROTOCOL
from picture_captioner.batch.service import (
    MOST_LISTED,
    Answer,
    Answered,
    BatchService,
    JobGoneError,
    Limits,
    NotAnsweredError,
    RemoteJob,
    id_in,
    object_in,
)
from picture_captioner.errors import (
    AccessDeniedError,
    ConfigurationError,
    TransientError,
)
from picture_captioner.foreign_text import clean, cut

_ENDED = frozenset({"Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"})
_CREATES = (0.0, 1.0, 3.0)
"""Seconds before each request that creates one job: with its `clientRequestToken`, the later ones
are answered with the job that an earlier one has made."""
_PIECE_BYTES = 8 << 20
"""Of a file of answers, at a time: it has the photos in it, too, and is up to 1 GB."""
_MANIFEST = "manifest.json.out"

_OURS = re.compile(
    r"s3://(?P<bucket>[^/]+)/(?P<key>(?:.*/)?pc[0-9a-f]{8}-[0-9a-f]{10}(?:\.jsonl|/))"
)
"""What may be read and deleted of what an answer names: a job's file, or its folder."""
_NEEDED = {
    "PutObject": "s3:PutObject",
    "GetObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "DeleteObject": "s3:DeleteObject",
}
_ELSEWHERE = frozenset(
    {"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "301", "307"}
)


class _Place(NamedTuple):
    """A file or folder (`key` ends in `/`) in S3."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class BedrockJobs(BatchService):
    """Models of Bedrock, through `CreateModelInvocationJob`."""

    limits: ClassVar[Limits] = Limits(
        requests=50_000,
        file_bytes=1_000_000_000,
        answered_within="24 hours (--option job_hours)",
        files_kept="in your S3 bucket, until 'caption.py batch collect' deletes them",
        least=100,
    )
    id_field: ClassVar[str] = "recordId"

    def __init__(self, backend: CaptionBackend) -> None:
        """Open the clients.

        Raises:
            FatalError: there are no credentials, or an address is not allowed.
        """
        super().__init__(backend)
        options: BedrockOptions = self.backend.options
        self._bucket, _, folder = (options.bucket or "").partition("/")
        self._folder = f"{folder.rstrip('/')}/" if folder else ""
        self._role, self._hours = options.role, options.job_hours
        self._jobs, self._jobs_host = self.backend.connect("bedrock", options.jobs_url)
        self._s3, self._s3_host = self.backend.connect("s3", options.s3_url)

    @property
    def host(self) -> str:
        """Who gets the photos: one host of Amazon's for the files, one for the jobs."""
        return " by way of ".join(dict.fromkeys((self._jobs_host, self._s3_host)))

    def check(self) -> None:
        """Find out whether there is a bucket and what may be done with it.

        Raises:
            ConfigurationError, AccessDeniedError, TransientError: no job can be made.
        """
        if not (self._bucket and self._role):
            raise ConfigurationError(
                "batch jobs of Bedrock go through an S3 bucket of yours: --option bucket=NAME and "
                "--option role=arn:aws:iam::...:role/... (docs/bedrock.md makes both)"
            )
        with self._asking_s3(self._bucket):
            self._s3.list_objects_v2(Bucket=self._bucket, Prefix=self._folder, MaxKeys=1)

    def request(self, custom_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A record of the input file; JSON has the JPEG's bytes as base64, as Converse does."""
        return {"recordId": custom_id, "modelInput": dict(body)}

    def file_named(self, job_id: str) -> str:
        """Where the file of a job goes: known before it is there."""
        return _Place(self._bucket, f"{self._folder}{job_id}.jsonl").uri

    def upload(self, job_id: str, body: IO[bytes]) -> str:
        """Put the file into the bucket, in one request."""
        uri = self.file_named(job_id)
        place = _place(uri)
        with self._asking_s3(place.bucket):
            body.seek(0)
            self._s3.put_object(Bucket=place.bucket, Key=place.key, Body=body)
        return uri

    def create(self, job_id: str, file_id: str, body: IO[bytes]) -> str:  # noqa: ARG002
        """Create the job for the file; asked again with the same token, AWS makes no second one."""
        answers = _Place(self._bucket, f"{self._folder}{job_id}/").uri
        for pause in _CREATES:
            time.sleep(pause)
            try:
                with self._asking_jobs():
                    made = self._jobs.create_model_invocation_job(
                        jobName=job_id,
                        clientRequestToken=job_id,
                        roleArn=self._role,
                        modelId=self.backend.settings.model,
                        modelInvocationType="Converse",
                        inputDataConfig={
                            "s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": file_id}
                        },
                        outputDataConfig={"s3OutputDataConfig": {"s3Uri": answers}},
                        timeoutDurationInHours=self._hours,
                    )
                return id_in(made.get("jobArn"))
            except TransientError as error:
                failed = error
        raise failed

    def look(self, remote_id: str) -> RemoteJob:
        """Ask for the job."""
        with self._asking_jobs():
            return _remote(self._jobs.get_model_invocation_job(jobIdentifier=remote_id))

    def listed(self) -> Iterator[RemoteJob]:
        """The account's jobs in this region, page by page."""
        with self._asking_jobs():
            asked = {"sortBy": "CreationTime", "sortOrder": "Descending"}
            pages = self._jobs.get_paginator("list_model_invocation_jobs").paginate(**asked)
            found = (job for page in pages for job in page.get("invocationJobSummaries") or ())
            yield from map(_remote, itertools.islice(found, MOST_LISTED))

    def answers(self, remote: RemoteJob) -> Iterator[Answered]:
        """The lines of the files of answers, counted against what the job and its manifest say."""
        files = list(self._files(remote.results))
        manifests = [file for file in files if file[0].key.endswith(f"/{_MANIFEST}")]
        said = [_succeeded(b"".join(self._pieces(*manifest))) for manifest in manifests]
        outputs = [file for file in files if file[0].key.endswith(".jsonl.out")]
        answers = (self.answers_in(self._pieces(*output)) for output in outputs)
        lines = itertools.chain.from_iterable(answers)
        return self.counted(lines, max([remote.answered, *said]), remote)

    def _files(self, folder: str | None) -> Iterator[tuple[_Place, str, int]]:
        """What lies in a job's folder, with each one's tag and size."""
        if folder is None:
            return
        place = _place(folder)
        with self._asking_s3(place.bucket):
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=place.bucket, Prefix=place.key
            )
            for page in pages:
                for one in page.get("Contents") or ():
                    yield _Place(place.bucket, one["Key"]), one["ETag"], one["Size"]

    def _pieces(self, place: _Place, tag: str, size: int) -> Iterator[bytes]:
        for first in range(0, size, _PIECE_BYTES):
            last = min(first + _PIECE_BYTES, size) - 1
            with self._asking_s3(place.bucket):
                part = self._s3.get_object(
                    Bucket=place.bucket, Key=place.key, IfMatch=tag, Range=f"bytes={first}-{last}"
                )["Body"].read()
            if len(part) != last + 1 - first:
                raise self.broken_off()
            yield part

    def answer_in(self, found: dict[str, Any]) -> Answer:
        """The answer in `modelOutput`, or what `error` says."""
        body = found.get("modelOutput")
        if not isinstance(body, dict):
            return self._failure(object_in(found, "error"))
        if not isinstance(body.get("stopReason"), str) and not body.get("usage"):
            return self.formless()  # an error in its place, or another form than Converse's
        return self.read(body)

    def _failure(self, error: dict[str, Any]) -> Answer:
        """A verdict by its HTTP status; what AWS says of expiry is told (docs/batch.md)."""
        if error.get("expired") is True or error.get("errorCode") == 408:
            return NotAnsweredError("the job ended before this photo's turn", code="expired")
        status, said = error.get("errorCode"), cut(str(error.get("errorMessage") or ""))
        known = isinstance(status, int) and status >= 400
        code = "ValidationException" if status == 400 else ""
        reply = {
            "Error": {"Code": code, "Message": said},
            "ResponseMetadata": {"HTTPStatusCode": status if known else 500},
        }
        verdict: Answer = self.backend.meaning(ClientError(reply, "Converse"), self._jobs_host)
        return verdict

    def cancel(self, remote_id: str) -> None:
        """Stop the job."""
        with self._asking_jobs():
            self._jobs.stop_model_invocation_job(jobIdentifier=remote_id)

    def delete(self, remote: RemoteJob) -> None:
        """Delete its files in S3; the job itself, a line without photos, cannot be deleted."""
        for uri in filter(_OURS.fullmatch, remote.files):
            place = _place(uri)
            inside = [one for one, _, _ in self._files(uri)] if uri.endswith("/") else [place]
            for one in inside:
                with self._asking_s3(place.bucket):
                    self._s3.delete_object(Bucket=one.bucket, Key=one.key)

    @contextmanager
    def _asking_jobs(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code"))
            asked_for_a_job = error.operation_name != "CreateModelInvocationJob"
            if code == "ResourceNotFoundException" and asked_for_a_job:
                raise JobGoneError(f"{self._jobs_host} does not have this job") from None
            if code == "ConflictException":  # there is one of this name, or it is being changed
                raise TransientError(f"{self._jobs_host} is busy with this job") from None
            raise self.backend.meaning(error, self._jobs_host) from None
        except (BotoCoreError, httpx2.HTTPError, *NO_PROTOCOL) as error:
            raise self.backend.lost(error, self._jobs_host) from None

    @contextmanager
    def _asking_s3(self, bucket: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._meaning_of_s3(error, bucket) from None
        except (BotoCoreError, httpx2.HTTPError, *NO_PROTOCOL) as error:
            raise self.backend.lost(error, self._s3_host) from None

    def _meaning_of_s3(self, error: ClientError, bucket: str) -> Exception:
        code = str(error.response.get("Error", {}).get("Code"))
        said = clean(str(error.response.get("Error", {}).get("Message") or ""), 200)
        if code in _ELSEWHERE:
            headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            region = clean(str(headers.get("x-amz-bucket-region") or "another region"), 40)
            return ConfigurationError(
                f"the bucket {bucket} is in {region}, and a job reads only from buckets of its own "
                f"region: make one there, or ask Bedrock there with --option region={region}"
            )
        if code == "NoSuchBucket":
            return ConfigurationError(
                f"{self._s3_host} has no bucket {bucket}: `aws s3 mb s3://{bucket}` makes it"
            )
        if code in {"NoSuchKey", "PreconditionFailed"}:
            return JobGoneError(f"a file of this job is gone from the bucket {bucket}")
        if code in {"AccessDenied", "403"}:
            return AccessDeniedError(
                f"these credentials lack {_NEEDED.get(error.operation_name, 's3:GetObject')} for "
                f"the bucket {bucket} (docs/bedrock.md has the policy): {said}"
            )
        meaning: Exception = self.backend.meaning(error, self._s3_host)
        return meaning


def _place(uri: str) -> _Place:
    """The place that an address of ours names.

    Raises:
        JobGoneError: it is none of a job of ours, so there is nothing to read.
    """
    found = _OURS.fullmatch(uri)
    if found is None:
        raise JobGoneError(f"the job's files are not where we have put them: {clean(uri, 100)}")
    return _Place(found["bucket"], found["key"])


def _succeeded(manifest: bytes) -> int:
    try:
        found = json.loads(manifest)["successRecordCount"]
    except (ValueError, KeyError, TypeError):
        return 0
    return found if isinstance(found, int) else 0


def _remote(job: Mapping[str, Any]) -> RemoteJob:
    status, asked = str(job.get("status")), job.get("submitTime")
    sent = job.get("inputDataConfig", {}).get("s3InputDataConfig", {}).get("s3Uri")
    results = job.get("outputDataConfig", {}).get("s3OutputDataConfig", {}).get("s3Uri")
    return RemoteJob(
        id=id_in(job.get("jobArn")),
        status=re.sub(r"(?<=.)([A-Z])", r" \1", status).lower(),
        ended=status in _ENDED,
        ours=job.get("clientRequestToken") or job.get("jobName"),
        input_file=sent,
        total=job.get("totalRecordCount") or 0,
        answered=job.get("successRecordCount") or 0,
        complete=status == "Completed",
        created_at=asked.timestamp() if isinstance(asked, datetime) else None,
        problem=clean(str(job.get("message") or ""), 300) if status != "Completed" else "",
        files=tuple(filter(None, (sent, results))),
        results=results,
    )
