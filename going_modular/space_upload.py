"""Send a demo folder to a Hugging Face Space."""

import re
from pathlib import Path

from huggingface_hub import HfApi

# The base of everything the Hub's client raises; its HTTP library differs by version.
from huggingface_hub.errors import HTTPError
from huggingface_hub.utils import disable_progress_bars

from going_modular.demo_folder import LEFTOVERS, DeployError, list_folder

NEEDS_PAID_PLAN = """\
a free account cannot create this kind of Space (402). Three ways on:
  1. The browser demo as a static Space: free for everyone, sdk="static".
  2. A Gradio Space on ZeroGPU: a free account in good standing may have two. Pass
     hardware="zero-a10g"; app.py then needs the `spaces` package and one
     @spaces.GPU function.
  3. A PRO account, which may use CPU Basic: https://huggingface.co/pro"""
BAD_TOKEN = """\
the token was not accepted (401). Check that it is whole and still valid, or make a new
one with write access at https://huggingface.co/settings/tokens"""
NO_ACCESS = """\
this token may not write there ({status}). It needs write access, and the part of the
name before the / must be your user name or an organization of yours"""


def upload_to_space(
    folder: Path,
    space_name: str,
    *,
    token: str,
    sdk: str = "gradio",
    hardware: str | None = None,
) -> str:
    """Create a Space if it is not there yet and upload a demo folder to it.

    Files of the Space that the folder does not have are left as they are. After a
    failure it can be called again.

    Args:
        folder: The demo folder, with a README.md whose front matter names the SDK.
        space_name: "user/space".
        token: A Hugging Face token with write access. It is never printed.
        sdk: "gradio" or "static", as in the folder's README.md.
        hardware: What a new Space runs on; None is the Hub's default, CPU Basic.

    Returns:
        The Space's address.

    Raises:
        DeployError: If the folder, name or token cannot be right, or the Hub refuses or
            cannot be reached.
    """
    folder, token = Path(folder), _checked_token(token)
    files = list_folder(folder)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", space_name):
        raise DeployError(f'{space_name!r} is not a Space: write it as "user/space"')
    _check_sdk(folder, sdk)
    print(f"Uploading {len(files)} files, {files.bytes.sum() / 1e6:.1f} MB", flush=True)
    disable_progress_bars()  # in a notebook they would be widgets, stored in the file
    try:
        return _upload(HfApi(token=token), folder, space_name, sdk, hardware)
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        message = _explain(error).replace(token, "(the token)")
        # Not chained: an HTTP library's own message may quote the token's header.
        raise DeployError(f"{space_name} was not uploaded: {message}") from None


def _upload(
    api: HfApi, folder: Path, space_name: str, sdk: str, hardware: str | None
) -> str:
    # exist_ok: whoever has the Space already may update it, whatever the plan.
    url = api.create_repo(
        space_name,
        repo_type="space",
        space_sdk=sdk,
        space_hardware=hardware,
        exist_ok=True,
    )
    api.upload_folder(
        repo_id=space_name,
        repo_type="space",
        folder_path=folder,
        commit_message=f"Upload {folder.resolve().name}",
        ignore_patterns=[
            pattern
            for name in LEFTOVERS
            for pattern in (name, f"{name}/*", f"*/{name}", f"*/{name}/*")
        ],
    )
    return str(url)


def _checked_token(token: str | None) -> str:
    token = (token or "").strip()
    if not re.fullmatch(r"[!-~]+", token):
        raise DeployError(
            "The token is empty or holds characters no token has: copy it once more "
            "from https://huggingface.co/settings/tokens"
        )
    return token


def _check_sdk(folder: Path, sdk: str) -> None:
    readme = folder / "README.md"
    text = readme.read_text("utf-8") if readme.is_file() else ""
    found = re.search(r"\A---\n.*?^sdk: *(\w+).*?^---", text, re.DOTALL | re.MULTILINE)
    if not found or found[1] != sdk:
        raise DeployError(
            f"{readme} must name the kind of Space, with a line sdk: {sdk} in its "
            f"front matter; it has {found[1] if found else 'none'}. Is it the right "
            "folder?"
        )


def _explain(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    said = getattr(error, "server_message", None) or str(error) or type(error).__name__
    if status is None:
        return f"the Hub could not be reached or the upload broke off: {said}"
    hints = {402: NEEDS_PAID_PLAN, 401: BAD_TOKEN, 403: NO_ACCESS, 404: NO_ACCESS}
    hint = hints.get(status, "the Hub answered {status}; try again later")
    return f"{hint.format(status=status)}\nThe Hub said: {said}"
