// The camera: open it, look at what it sees, close it.

const HINT = "or choose a photo instead.";
const WHY_NOT = {
  NotAllowedError: `The camera is not allowed here. Allow it for this page in the browser, ${HINT}`,
  NotFoundError: "No camera was found on this device. Choose a photo instead.",
  OverconstrainedError: "No camera was found on this device. Choose a photo instead.",
  NotReadableError: `The camera is busy. Close the other program that uses it, ${HINT}`,
};

/**
 * Show a camera in a video element.
 *
 * @param {HTMLVideoElement} video
 * @param {"environment" | "user"} facing Which way it should look, if there is a choice.
 * @throws {Error} If there is none to be had; its message is meant for the visitor.
 */
export async function openCamera(video, facing) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("The camera works on https addresses only. Choose a photo instead.");
  }
  const wanted = { facingMode: facing, width: { ideal: 1280 }, height: { ideal: 720 } };
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: wanted });
    await video.play();
  } catch (error) {
    closeCamera(video);
    throw new Error(WHY_NOT[error.name] ?? `The camera did not start. Try again, ${HINT}`);
  }
}

/** Switch the camera off, its light too. */
export function closeCamera(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}

/** Whether there is a second camera to turn to. */
export async function hasTwoCameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter(({ kind }) => kind === "videoinput").length > 1;
}

/**
 * Take the part of the current frame that the video element shows.
 *
 * The page fills its viewfinder and lets the rest overlap; the model should see
 * neither more nor less than the visitor.
 *
 * @returns {Promise<ImageBitmap>}
 */
export function grabFrame(video) {
  const { videoWidth, videoHeight, clientWidth, clientHeight } = video;
  const scale = Math.min(videoWidth / clientWidth, videoHeight / clientHeight);
  const width = Math.round(clientWidth * scale);
  const height = Math.round(clientHeight * scale);
  const left = Math.floor((videoWidth - width) / 2);
  const top = Math.floor((videoHeight - height) / 2);
  return createImageBitmap(video, left, top, width, height);
}

/** Wait for the camera's next frame; a page that nobody looks at gets none. */
export function nextFrame(video) {
  const wait = video.requestVideoFrameCallback?.bind(video) ?? requestAnimationFrame;
  return new Promise((resolve) => wait(resolve));
}
