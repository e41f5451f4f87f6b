// Every way to show the page a picture: buttons, files, the clipboard, the camera.

import { flip, freeze, isLive, show, start, startLive, stopLive } from "./finder.js";
import { chooseFiles, showTaught } from "./teach.js";
import { $, showProblem, showState } from "./view.js";

async function pasteFromButton() {
  let sentence = "There is no picture on the clipboard. Copy one first.";
  try {
    for (const item of await navigator.clipboard.read()) {
      const type = item.types.find((name) => name.startsWith("image/"));
      if (type) return show(await item.getType(type));
    }
  } catch {
    sentence = "The browser did not allow it. Try Ctrl+V, or choose a photo.";
  }
  return showProblem("Nothing to paste", sentence);
}

/** Show the first picture among files; failing that, say what the first one is. */
function showFirst(files) {
  const picture = [...files].find(({ type }) => type.startsWith("image/"));
  if (files.length) show(picture ?? files[0]);
}

start(showTaught);
chooseFiles("choose", "file", showFirst);
$("main").onclick = () => (isLive() ? freeze() : startLive());
$("stop").onclick = stopLive;
$("flip").onclick = flip;
$("paste").onclick = pasteFromButton;

addEventListener("paste", ({ clipboardData }) => showFirst(clipboardData.files));
addEventListener("dragover", (event) => {
  event.preventDefault();
  $("stage").classList.add("dropping");
});
addEventListener("dragleave", ({ relatedTarget }) => {
  if (!relatedTarget) $("stage").classList.remove("dropping");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  $("stage").classList.remove("dropping");
  const { files } = event.dataTransfer;
  if (files.length) showFirst(files);
  else showProblem("This picture did not work", "Drop a picture file, not a link to one.");
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden && isLive()) stopLive(); // its light goes out
});

showState("idle");
$("not-started").remove(); // from here on, whatever fails is said
