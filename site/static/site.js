// What the site's pages do beside being read.

// The demo's frame is as tall as the demo, and as dark as the page.
for (const frame of document.querySelectorAll("iframe.pocket")) {
  frame.addEventListener("load", () => {
    const { body, documentElement } = frame.contentDocument;
    const fit = () => (frame.style.height = `${body.offsetHeight}px`);
    new ResizeObserver(fit).observe(body);
    const paint = () => {
      documentElement.style.colorScheme = getComputedStyle(document.body).colorScheme;
    };
    new MutationObserver(paint).observe(document.body, { attributes: true });
    paint();
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
