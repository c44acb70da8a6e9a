// Styles that few pages need, beside the page's own. Exports: addStyle(name).

/** Adds a style sheet once; `name` is a file beside the first one that the page names. */
export function addStyle(name) {
  const own = document.querySelector('link[rel=stylesheet]');
  const { href } = new URL(name, own.href);
  if ([...document.querySelectorAll('link[rel=stylesheet]')].some((link) => link.href === href)) return;
  document.head.append(Object.assign(document.createElement('link'), { rel: 'stylesheet', href }));
}
