// The camera: open it, look at what it sees, close it.

const ENOUGH = 30; // frames a second: more would only cost battery
const LOOK = 120; // ms between two looks for movement
const [COLUMNS, ROWS, BLOCK] = [16, 9, 4]; // a look has 16 x 9 cells of 4 x 4 pixels
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

/**
 * Show a camera in a video element: the one that faces "environment" or "user".
 *
 * @throws {Error} If there is none to be had; its message is meant for the visitor.
 */
export async function openCamera(video, facing) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("The camera works on https addresses only. Choose a photo instead.");
  }
  const size = { width: { ideal: 1280 }, height: { ideal: 720 } };
  const wanted = { facingMode: facing, frameRate: { ideal: ENOUGH }, ...size };
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
 * Take the part of the current frame that the video element shows, as an ImageBitmap: the
 * model should see neither more nor less than the visitor.
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

/**
 * Make a function that waits until the viewfinder has shown a frame since a given time, in
 * ms. A frame that came meanwhile counts, so no time is lost. The browser may tell of one
 * after it was grabbed: it is older than that time, and is not asked about twice.
 */
export function watchFrames(video) {
  const callback = video.requestVideoFrameCallback?.bind(video) ?? requestAnimationFrame;
  const oneMore = () =>
    new Promise((resolve) => callback((now, frame) => resolve(frame?.presentationTime ?? now)));
  let next = oneMore();
  const tell = async () => {
    const shown = await next;
    next = oneMore();
    return shown;
  };
  return async (since) => {
    if ((await tell()) <= since) await tell();
  };
}

/**
 * Make a function that says for how long, in ms, nothing has moved before the camera. It
 * compares thumbnails with the one that moved last, so that slow movement adds up.
 */
export function watchStillness(video) {
  const canvas = new OffscreenCanvas(COLUMNS * BLOCK, ROWS * BLOCK);
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  let [looked, moved, reference] = [-Infinity, 0, []];
  return () => {
    const now = performance.now();
    if (now - looked >= LOOK) {
      looked = now;
      context.drawImage(video, 0, 0, canvas.width, canvas.height);
      const cells = toCells(context.getImageData(0, 0, canvas.width, canvas.height));
      if (isMovement(cells, reference)) [moved, reference] = [now, cells];
    }
    return now - moved;
  };
}

/** Average each 4 x 4 pixels, colour by colour, which leaves little of the noise. */
function toCells({ data, width, height }) {
  const cells = new Float32Array(3 * COLUMNS * ROWS);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const from = 4 * (y * width + x);
      const to = 3 * (Math.floor(y / BLOCK) * COLUMNS + Math.floor(x / BLOCK));
      for (const colour of [0, 1, 2]) cells[to + colour] += data[from + colour] / BLOCK ** 2;
    }
  }
  return cells;
}

/** Whether any cell has changed by more than noise does; the first look counts, too. */
function isMovement(cells, reference) {
  return cells.some((value, index) => !(Math.abs(value - reference[index]) <= NOISE));
}
