"""What strangers may not do: name files of this machine, or web addresses."""

from pathlib import Path

import gradio as gr


def accept_only_uploads(picture: gr.Image) -> None:
    """Take a visitor's file as it came, and nothing else.

    gr.Image would decode it, and fail harshly. A request can also name any file of this
    machine, or a web address for the app to fetch: both are refused.

    It changes the class, not this one picture: for a visitor who clicks an example,
    Gradio makes another picture of the same class.
    """
    kind = type(picture)
    keep = kind.async_move_resource_to_block_cache

    def upload(own: gr.Image, place: str | Path) -> str:
        path = Path(place).resolve()
        if not path.is_relative_to(Path(own.GRADIO_CACHE).resolve()):
            raise gr.Error("Please upload a picture.", print_exception=False)
        return str(path)

    async def keep_upload(own: gr.Image, place: str | Path | None) -> str | None:
        return await keep(own, None if place is None else upload(own, place))

    def open_later(own: gr.Image, payload: gr.FileData | None) -> str | None:
        is_empty = payload is None or payload.path is None
        return None if is_empty else upload(own, payload.path)

    kind.async_move_resource_to_block_cache = keep_upload
    kind.preprocess = open_later
