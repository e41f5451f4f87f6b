// The box in section 5.1: who passes the gate, at thresholds that the reader moves.

const form = document.getElementById("gate");
const { thresholds, ...groups } = JSON.parse(form.querySelector("script").textContent);
const [drawing, status] = [form.querySelector("svg"), form.querySelector("[role=status]")];
const sliders = [...form.querySelectorAll("input")];
const logit = (share) => Math.log(share / (1 - share)); // spreads what is near 0 and near 1
const share = (number) => 1 / (1 + Math.exp(-number));
let limits; // of both scores

/** Where on its slider, from 0 to 1, a value stands. */
function place({ min, max }, value) {
  return Math.min(Math.max((value - min) / (max - min), 0.01), 0.99);
}
const across = (familiarity) => 100 * place(sliders[0], familiarity);
const up = (likeness) => 60 - 60 * place(sliders[1], logit(likeness));

function draw(kind, given) {
  const shape = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(given)) shape.setAttribute(name, value);
  return drawing.appendChild(shape);
}

for (const [name, pairs] of Object.entries(groups)) {
  const kind = name.split(" ").at(-1);
  for (const [x, y] of pairs) draw("circle", { cx: across(x), cy: up(y), r: 0.8, class: kind });
}
const walls = [draw("path", {}), draw("path", {})];

function show() {
  walls[0].setAttribute("d", `M${across(limits[0])} 0V60`);
  walls[1].setAttribute("d", `M0 ${up(limits[1])}H100`);
  sliders.forEach((slider, at) => {
    slider.ariaValueText = slider.previousElementSibling.value = limits[at].toFixed(2);
  });
  const counts = Object.entries(groups).map(([name, pairs]) => {
    const away = pairs.filter((pair) => pair.some((score, at) => score < limits[at]));
    return `${name} ${away.length} of ${pairs.length}`;
  });
  status.textContent = `Turned away: ${counts.join(", ")}.`;
}

function reset() {
  limits = [...thresholds];
  [sliders[0].value, sliders[1].value] = [limits[0], logit(limits[1])];
  show();
}

sliders[0].oninput = ({ target }) => show((limits[0] = +target.value));
sliders[1].oninput = ({ target }) => show((limits[1] = share(target.value)));
form.querySelector("button").onclick = reset;
reset();
