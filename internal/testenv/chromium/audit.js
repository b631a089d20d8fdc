// Lists what would keep people from using the page: an expression for Runtime.evaluate.
(() => {
  const faults = [];
  const fault = (what, element) => faults.push(element ? `${what}: ${element.outerHTML.slice(0, 100)}` : what);

  // Colours (WCAG 2.2, 1.4.3 and 1.4.11).
  const parse = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
    return { channels: [r, g, b], opaque: a === 1, clear: a === 0 };
  };
  const luminance = ({ channels }) => {
    const [r, g, b] = channels.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (!colour.clear) return colour;
    }
    return parse("rgb(255, 255, 255)");
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    const got = contrast(parse(style.color), behind(element));
    if (got < least) fault(`contrast of ${got.toFixed(2)}, not ${least}`, element);
  }

  // Size (1.4.10, 2.5.5).
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) fault(`scrolls sideways at ${width} px`);
  for (const element of document.body.querySelectorAll("*")) {
    const box = element.getBoundingClientRect();
    if (box.left < 0 || box.right > width + 0.5) fault(`sticks out at ${width} px`, element);
    if (element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== "inline") fault(`cuts its content at ${width} px`, element);
  }
  for (const element of document.querySelectorAll("button, a")) {
    if (element.getBoundingClientRect().height < 44) fault("lower than 44 px", element);
  }

  // Focus (2.4.7, 2.4.13).
  for (const element of document.querySelectorAll("button, a, [tabindex]")) {
    element.focus({ focusVisible: true });
    const style = getComputedStyle(element);
    if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) fault("no ring when in focus", element);
    else if (contrast(parse(style.outlineColor), behind(element.parentElement)) < 3) fault("a faint ring when in focus", element);
    element.blur();
  }

  // Structure (1.3.1, 2.4.2, 3.1.1).
  if (!document.documentElement.lang) fault("no lang");
  if (!document.title) fault("no title");
  for (const one of ["h1", "main", 'meta[name="viewport"]']) {
    if (document.querySelectorAll(one).length !== 1) fault(`not one ${one}`);
  }
  if (document.querySelector("h1")?.closest("main") === null) fault("the h1 is not in main");
  for (const element of document.body.children) {
    if (!["MAIN", "HEADER", "FOOTER"].includes(element.tagName)) fault("outside of the landmarks", element);
  }

  // Nothing moves, runs or is loaded.
  if (document.getAnimations().length) fault("something moves");
  for (const element of document.querySelectorAll("script, link, img, iframe, object, embed, [onclick], [style]")) fault("not allowed", element);
  return faults;
})()
