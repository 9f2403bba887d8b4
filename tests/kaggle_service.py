"""The state of the loopback Kaggle: competitions, uploads, submissions, data sets and kernels."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kaggle_notebooks import Notebooks, Session

USER = "someone"
UPLOAD = "upload_id=97ad10b3"  # part of an address that grants access


class RefusedError(Exception):
    """The API answers the call with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Upload:
    """The upload of one file."""

    name: str
    size: int
    data: bytearray = field(default_factory=bytearray)
    expired: bool = False

    @property
    def whole(self) -> bool:
        return len(self.data) == self.size


class Service:
    """The methods of the API, and the state that they change."""

    def __init__(self, competitions: dict[str, bytes]) -> None:
        """`competitions`: their archives by name."""
        self.competitions = competitions
        self.uploads: dict[str, Upload] = {}  # by token
        self.submissions: list[dict[str, Any]] = []  # the newest first, as Kaggle lists them
        self.submitted: dict[int, bytes] = {}  # the file's bytes, by ref
        self.score: str = "0.91234"
        self.failing: str | None = None  # why a submission ends in ERROR, if set
        self.polls = 1  # lists in which a new submission is PENDING
        self.expire = False  # whether new uploads are expired at once
        self.datasets: dict[str, list[dict[str, bytes]]] = {}  # versions' files, by owner/slug
        self.dataset_bodies: list[
            dict[str, Any]
        ] = []  # bodies of CreateDataset and CreateDatasetVersion
        self.dataset_states = ["BLOBS_RECEIVED", "READY"]  # the last one stays
        self.kernels: dict[str, list[dict[str, Any]]] = {}  # what was pushed, by owner/slug
        self.kernel_states = ["QUEUED", "RUNNING", "COMPLETE"]  # after each push; the last stays
        self.kernel_failure: str | None = None
        self.kernel_error: str | None = None  # why a kernel is rejected, if set
        self.notebooks: Notebooks | None = None  # runs what is pushed, if set
        self.sessions: dict[str, Session] = {}  # of these, by owner/slug
        self.quota_hours: tuple[float, float] | None = (0.0, 30.0)  # used, total
        self.rules_accepted = True
        self._states: dict[str, list[str]] = {}
        self._numbers = count(1)

    def call(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer of a method of the API.

        Raises:
            RefusedError: with a status.
        """
        known: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "IntrospectToken": lambda _: {"active": True, "username": USER},
            "StartSubmissionUpload": self._start_submission,
            "StartBlobUpload": self._start_upload,
            "CreateSubmission": self._create_submission,
            "CreateCodeSubmission": self._create_code_submission,
            "GetSubmissionLimits": lambda _: {"numAllowedNow": 4, "numToday": 1},
            "ListSubmissions": self._list_submissions,
            "ListDataFiles": lambda _: {"files": [{"name": "train.csv"}]},
            "GetDatasetStatus": self._dataset_status,
            "GetDataset": self._dataset,
            "CreateDataset": self._create_dataset,
            "CreateDatasetVersion": self._create_version,
            "SaveKernel": self._push_kernel,
            "GetKernelSessionStatus": self._kernel_status,
            "ListDatasetFiles": self._dataset_files,
            "ListKernels": self._list_kernels,
            "ListKernelSessionOutput": self._kernel_output,
            "GetAcceleratorQuotaStatistics": self._quota,
        }
        if method not in known:
            raise RefusedError(404, f"no method {method}")
        if body.get("competitionName", "") and body["competitionName"] not in self.competitions:
            raise RefusedError(404, "Competition not found")
        return known[method](body)

    def _start_submission(self, body: dict[str, Any]) -> dict[str, Any]:
        return self._start(body["fileName"], body["contentLength"])

    def _start_upload(self, body: dict[str, Any]) -> dict[str, Any]:
        return self._start(body["name"], body.get("contentLength", 0))

    def _start(self, name: str, size: int) -> dict[str, Any]:
        token = f"token-{next(self._numbers)}-5ec2e7"
        self.uploads[token] = Upload(name, size, expired=self.expire)
        return {"token": token, "createUrl": f"http://localhost/upload/{token}?{UPLOAD}"}

    def _taken(self, token: str) -> Upload:
        """An upload that is whole; its token is spent."""
        upload = self.uploads.pop(token, None)
        if upload is None or upload.expired or not upload.whole:
            raise RefusedError(400, "The upload token is not valid, or has expired")
        return upload

    def _create_submission(self, body: dict[str, Any]) -> dict[str, Any]:
        upload = self._taken(body["blobFileTokens"])
        ref = self._submit(body, upload.name)
        self.submitted[ref] = bytes(upload.data)
        return {"message": f"Successfully submitted to {body['competitionName']}", "ref": ref}

    def _create_code_submission(self, body: dict[str, Any]) -> dict[str, Any]:
        pushed = self.kernels.get(f"{body['kernelOwner']}/{body['kernelSlug']}", [])
        if not 0 < body.get("kernelVersion", 0) <= len(pushed):
            raise RefusedError(404, "Kernel version not found")
        ref = self._submit(body, body["fileName"])
        return {"message": f"Successfully submitted to {body['competitionName']}", "ref": ref}

    def _submit(self, body: dict[str, Any], name: str) -> int:
        number = next(self._numbers)
        submission = {
            "ref": 40_000_000 + number,
            "competition": body["competitionName"],
            "date": f"2026-11-02T10:{number // 60:02}:{number % 60:02}.123Z",
            "description": body.get("submissionDescription", ""),
            "fileName": name,
            "status": "PENDING",
            "polls": self.polls,
        }
        self.submissions.insert(0, submission)
        return int(submission["ref"])

    def _list_submissions(self, body: dict[str, Any]) -> dict[str, Any]:
        mine = [s for s in self.submissions if s["competition"] == body["competitionName"]]
        size, page = body.get("pageSize", 20), body.get("page", 1)
        for submission in mine:
            if submission["status"] == "PENDING" and submission["polls"] == 0:
                end = {"status": "COMPLETE", "publicScore": self.score}
                if self.failing is not None:
                    end = {"status": "ERROR", "errorDescription": self.failing}
                submission.update(end)
            submission["polls"] = max(0, submission["polls"] - 1)
        shown = mine[(page - 1) * size : page * size]
        inner = ("competition", "polls")
        return {"submissions": [{k: s[k] for k in s if k not in inner} for s in shown]}

    def _dataset_status(self, body: dict[str, Any]) -> dict[str, Any]:
        ref = f"{body['ownerSlug']}/{body['datasetSlug']}"
        if ref not in self.datasets:
            raise RefusedError(403, "Permission 'datasets.get' was denied")  # as Kaggle answers it
        return {"status": self._next_state(ref)}

    def _dataset(self, body: dict[str, Any]) -> dict[str, Any]:
        ref = f"{body['ownerSlug']}/{body['datasetSlug']}"
        if ref not in self.datasets:
            raise RefusedError(403, "Permission 'datasets.get' was denied")
        return {"ref": ref, "currentVersionNumber": len(self.datasets[ref])}

    def _create_dataset(self, body: dict[str, Any]) -> dict[str, Any]:
        ref = f"{body['ownerSlug']}/{body['slug']}"
        if ref in self.datasets:
            return {"status": "error", "error": f"The requested slug {ref} is already in use"}
        return self._add_version(ref, body, body)

    def _create_version(self, body: dict[str, Any]) -> dict[str, Any]:
        ref = f"{body['ownerSlug']}/{body['datasetSlug']}"
        if ref not in self.datasets:
            raise RefusedError(403, "Permission 'datasets.update' was denied")
        return self._add_version(ref, body, body["body"])

    def _add_version(self, ref: str, body: dict[str, Any], files: dict[str, Any]) -> dict[str, Any]:
        taken = [self._taken(file["token"]) for file in files.get("files", [])]
        self.datasets.setdefault(ref, []).append({u.name: bytes(u.data) for u in taken})
        self.dataset_bodies.append(body)
        self._states[ref] = list(self.dataset_states)
        return {"ref": ref, "url": f"https://www.kaggle.com/datasets/{ref}", "status": "ok"}

    def _dataset_files(self, body: dict[str, Any]) -> dict[str, Any]:
        ref = f"{body['ownerSlug']}/{body['datasetSlug']}"
        if ref not in self.datasets:
            raise RefusedError(403, "Permission 'datasets.get' was denied")
        first, size = int(body.get("pageToken") or 0), body["pageSize"]
        files = [{"name": name, "totalBytes": len(data)}
                 for name, data in sorted(self.datasets[ref][-1].items())]  # fmt: skip
        more = {"nextPageToken": str(first + size)} if first + size < len(files) else {}
        return {"datasetFiles": files[first : first + size], **more}

    def _push_kernel(self, body: dict[str, Any]) -> dict[str, Any]:
        ref = body["slug"]
        if self.kernel_error is not None:
            return {"ref": "", "url": "", "error": self.kernel_error}
        missing = [s for s in body.get("datasetDataSources", []) if s not in self.datasets]
        closed = [] if self.rules_accepted else body.get("competitionDataSources", [])
        self.kernels.setdefault(ref, []).append({**body, "id": next(self._numbers)})
        self._states[f"kernel {ref}"] = list(self.kernel_states)
        if self.notebooks is not None:
            attached = [s for s in body.get("datasetDataSources", []) if s not in missing]
            inputs = {source: self.datasets[source][-1] for source in attached}
            open_ = set(body.get("competitionDataSources", [])) - {*closed}
            archives = {slug: self.competitions[slug] for slug in open_}
            self.sessions[ref] = self.notebooks.start(body, inputs, archives)
        return {
            "ref": f"/code/{ref}",
            "url": f"https://www.kaggle.com/code/{ref}",
            "versionNumber": len(self.kernels[ref]),
            "kernelId": self.kernels[ref][-1]["id"],
            "invalidDatasetSources": missing,
            "invalidCompetitionSources": closed,
        }

    def rename_kernel(self, ref: str, new: str) -> None:
        """As its owner can in the browser: its number stays."""
        self.kernels[new] = self.kernels.pop(ref)
        self._states[f"kernel {new}"] = self._states.pop(f"kernel {ref}")
        if ref in self.sessions:
            self.sessions[new] = self.sessions.pop(ref)

    def _kernel(self, body: dict[str, Any]) -> str:
        ref = f"{body['userName']}/{body['kernelSlug']}"
        if ref not in self.kernels:
            raise RefusedError(403, "Permission 'kernels.get' was denied")
        return ref

    def _kernel_status(self, body: dict[str, Any]) -> dict[str, Any]:
        ref = self._kernel(body)
        if ref in self.sessions:
            session = self.sessions[ref]
            return {"status": session.status, "failureMessage": session.failure}
        state = self._next_state(f"kernel {ref}")
        why = {"failureMessage": self.kernel_failure} if state == "ERROR" else {}
        return {"status": state, **why}

    def _list_kernels(self, body: dict[str, Any]) -> dict[str, Any]:
        mine = [{"id": pushed[-1]["id"], "ref": ref} for ref, pushed in self.kernels.items()]
        size, page = body.get("pageSize", 20), body.get("page", 1)
        return {"kernels": mine[(page - 1) * size : page * size]}

    def _kernel_output(self, body: dict[str, Any]) -> dict[str, Any]:
        ref = self._kernel(body)
        session = self.sessions[ref]
        if not session.is_over:
            return {"files": [], "log": ""}
        first, size = int(body.get("pageToken") or 0), body["pageSize"]
        working = session.folder / "working"
        names = [path.relative_to(working).as_posix() for path in session.outputs()]
        files = [
            {"fileName": name, "url": f"http://localhost/output/{ref}/{name}"}
            for name in names[first : first + size]
        ]
        more = {"nextPageToken": str(first + size)} if first + size < len(names) else {}
        return {"files": files, "log": json.dumps(session.events), **more}

    def _quota(self, _: dict[str, Any]) -> dict[str, Any]:
        if self.quota_hours is None:
            raise RefusedError(404, "no such method")
        used, total = (f"{round(3600 * hours)}s" for hours in self.quota_hours)
        quota = {"timeUsed": used, "totalTimeAllowed": total}
        return {"quotaRefreshTime": "2026-12-05T00:00:00.000Z", "gpuQuota": quota}

    def _next_state(self, of: str) -> str:
        states = self._states[of]
        return states.pop(0) if len(states) > 1 else states[0]
