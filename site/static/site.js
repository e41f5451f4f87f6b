// What the site's pages do beside being read.

// The demo's frame is as tall as the demo.
for (const frame of document.querySelectorAll("iframe.pocket")) {
  frame.addEventListener("load", () => {
    const { body } = frame.contentDocument;
    const fit = () => (frame.style.height = `${body.offsetHeight}px`);
    new ResizeObserver(fit).observe(body);
  });
}

// What is wider than its place is scrolled by keyboard, too.
const wide = new ResizeObserver((seen) => {
  for (const { target } of seen) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
document.querySelectorAll("pre, .table-wrapper, .text_html").forEach((part) => wide.observe(part));
