"""What strangers may not do: name files of this machine, or web addresses."""

from pathlib import Path

import gradio as gr


def accept_only_uploads(picture: gr.Image) -> None:
    """Take a visitor's file as it came, and nothing else.

    gr.Image would decode it, and fail harshly. A request can also name any file of this
    machine, or a web address for the app to fetch: both are refused.
    """
    keep = picture.async_move_resource_to_block_cache

    def upload(place: str | Path) -> str:
        path = Path(place).resolve()
        if not path.is_relative_to(Path(picture.GRADIO_CACHE).resolve()):
            raise gr.Error("Please upload a picture.", print_exception=False)
        return str(path)

    async def keep_upload(place: str | Path | None) -> str | None:
        return await keep(None if place is None else upload(place))

    def open_later(payload: gr.FileData | None) -> str | None:
        return None if payload is None or payload.path is None else upload(payload.path)

    picture.async_move_resource_to_block_cache = keep_upload
    picture.preprocess = open_later
