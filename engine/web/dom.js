// Elements without innerHTML: whatever came from outside can only ever become text.

const PROPERTIES = new Set(['value', 'checked', 'disabled', 'hidden', 'readOnly', 'tabIndex']);

/** One element. `on…` props are listeners; null, undefined and false props and children are left out. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else if (value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replaces what `parent` holds. */
export function fill(parent, ...children) {
  parent.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

/** Sets the text only when it differs, so that a screen reader is not told twice. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Says `text` to a screen reader without moving the focus. */
export function speak(text) {
  setText(document.getElementById('spoken'), text);
}
