// What the site's pages do beside being read.

// The demo's frame is as tall as the demo, and as dark as the page.
for (const frame of document.querySelectorAll("iframe.pocket")) {
  const adopt = () => {
    const { body, documentElement } = frame.contentDocument;
    const fit = () => (frame.style.height = `${body.offsetHeight}px`);
    new ResizeObserver(fit).observe(body);
    const paint = () => {
      documentElement.style.colorScheme = getComputedStyle(document.body).colorScheme;
    };
    new MutationObserver(paint).observe(document.body, { attributes: true });
    paint();
  };
  frame.addEventListener("load", adopt);
  const { readyState, URL } = frame.contentDocument; // it may have come before this script
  if (readyState === "complete" && URL !== "about:blank") adopt();
}

// What is wider than its place is scrolled by keyboard, too.
const wide = new ResizeObserver((seen) => {
  for (const { target } of seen) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
document.querySelectorAll("pre, .table-wrapper, .text_html").forEach((part) => wide.observe(part));
