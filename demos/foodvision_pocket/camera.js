// The camera: open it, look at what it sees, close it.

const ENOUGH = 30; // frames a second: more would only cost battery
const LOOK = 120; // ms between two looks for movement
const [COLUMNS, ROWS] = [16, 9]; // cells of a look, each the mean of 4 x 4 pixels
// What a colour of a cell must change by, of 255, to count as movement: a sensor in a dim
// room is noisy by about 10 a pixel, a cell by 2 to 6. Grey values would not do: the red of
// a pizza and the green of a salad can be equally light.
const NOISE = 8;

const HINT = "or choose a photo instead.";
const NONE = "No camera was found on this device. Choose a photo instead.";
const WHY_NOT = {
  NotAllowedError: `The camera is not allowed here. Allow it for this page in the browser, ${HINT}`,
  NotFoundError: NONE,
  OverconstrainedError: NONE,
  NotReadableError: `The camera is busy. Close the other program that uses it, ${HINT}`,
};

/** Show a camera in a video element: the one that faces "environment" or "user". Where none
 *  is to be had, the error's message is meant for the visitor. */
export async function openCamera(video, facingMode) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("The camera works on https addresses only. Choose a photo instead.");
  }
  const [width, height, frameRate] = [1280, 720, ENOUGH].map((ideal) => ({ ideal }));
  const wanted = { video: { facingMode, frameRate, width, height } };
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia(wanted);
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

/** Take the part of the current frame that the video element shows, as an ImageBitmap: the
 *  model should see neither more nor less than the visitor. */
export function grabFrame(video) {
  const { videoWidth, videoHeight, clientWidth, clientHeight } = video;
  const scale = Math.min(videoWidth / clientWidth, videoHeight / clientHeight);
  const [width, height] = [clientWidth, clientHeight].map((side) => Math.round(side * scale));
  const left = Math.floor((videoWidth - width) / 2);
  const top = Math.floor((videoHeight - height) / 2);
  return createImageBitmap(video, left, top, width, height);
}

/** Make a function that waits until the viewfinder has shown a frame since a given time, in
 *  ms. A frame that came meanwhile counts, so no time is lost. The browser may tell of one
 *  after it was grabbed: it is older than that time, and is not asked about twice. */
export function watchFrames(video) {
  const callback = video.requestVideoFrameCallback?.bind(video) ?? requestAnimationFrame;
  const oneMore = () =>
    new Promise((resolve) => callback((now, frame) => resolve(frame?.presentationTime ?? now)));
  let next = oneMore();
  return async function wait(since) {
    const shown = await next;
    next = oneMore();
    if (shown <= since) await wait(-Infinity);
  };
}

/** Make a function that says for how long, in ms, nothing has moved before the camera. It
 *  compares thumbnails with the one that moved last, so that slow movement adds up. */
export function watchStillness(video) {
  const canvas = new OffscreenCanvas(4 * COLUMNS, 4 * ROWS);
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  let [looked, moved, reference] = [-Infinity, 0, []];
  return () => {
    const now = performance.now();
    if (now - looked < LOOK) return now - moved;
    looked = now;
    let [width, height] = [canvas.width, canvas.height];
    context.drawImage(video, 0, 0, width, height);
    for (; width > COLUMNS; width /= 2, height /= 2) { // halves are means, in every browser
      context.drawImage(canvas, 0, 0, width, height, 0, 0, width / 2, height / 2);
    }
    const { data } = context.getImageData(0, 0, COLUMNS, ROWS);
    const isSame = (value, at) => Math.abs(value - reference[at]) <= NOISE; // not at first
    if (!data.every(isSame)) [moved, reference] = [now, data];
    return now - moved;
  };
}
