// The order of items and options, from the sitting's seed: the same after a reload or on another machine, different
// for neighbours. Sorted by SHA-256(seed || 00 || list || 00 || id); `list` is the section's id, or the item's.

const utf8 = new TextEncoder();

/** `things` (each with an `id`) in the order that `seed` (bytes) gives them inside the list named `list`. */
export async function shuffled(seed, list, things) {
  const ranked = await Promise.all(things.map(async (thing) => ({ thing, rank: await rank(seed, list, thing.id) })));
  return ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1)).map(({ thing }) => thing);
}

async function rank(seed, list, id) {
  const input = new Uint8Array([...seed, 0, ...utf8.encode(list), 0, ...utf8.encode(id)]);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', input));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The paper as this sitting sees it: sections in their own order, each item with `number`, `section` and `shown` options. */
export async function arrange(paper, seed, { shuffle_items, shuffle_options }) {
  const items = [];
  for (const section of paper.sections) {
    const inOrder = shuffle_items ? await shuffled(seed, section.id, section.items) : section.items;
    for (const item of inOrder) {
      const options = item.options ?? [];
      const shown = shuffle_options && item.type !== 'true_false' ? await shuffled(seed, item.id, options) : options;
      items.push({ ...item, options, shown, section, number: items.length + 1 });
    }
  }
  return items;
}
