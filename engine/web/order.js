// The order of items and options, from the sitting's seed: the same after a reload or on another machine, different
// for neighbours. Sorted by SHA-256(seed || 00 || list || 00 || id); `list` is the id of the section, group or item.

const utf8 = new TextEncoder();

/** `things` (each with an `id`) in the order that `seed` (bytes) gives them inside `list`; those that are `fixed` keep their places. */
export async function shuffled(seed, list, things) {
  const ranked = await Promise.all(things.filter((thing) => !thing.fixed).map(async (thing) => ({ thing, rank: await rank(seed, list, thing.id) })));
  ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1));
  return things.map((thing) => (thing.fixed ? thing : ranked.shift().thing));
}

async function rank(seed, list, id) {
  const input = new Uint8Array([...seed, 0, ...utf8.encode(list), 0, ...utf8.encode(id)]);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', input));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** What moves as one: a group with its `members`, or an item that is in none. */
function blocksOf({ items, groups = [] }) {
  return items.flatMap((item) => {
    const group = groups.find((each) => each.items.includes(item.id));
    if (!group) return item;
    return group.items[0] === item.id ? { ...group, members: items.filter(({ id }) => group.items.includes(id)) } : [];
  });
}

/**
 * The paper as this sitting sees it: sections in their own order, each item with `number`, `section`, `shown` options
 * and, if it shares a stem, its `group`: `{id, stem, first, last}`, the same object for all of them.
 */
export async function arrange(paper, seed, { shuffle_items, shuffle_options }) {
  const items = [];
  const order = (wanted, list, things) => (wanted ? shuffled(seed, list, things) : things);
  for (const section of paper.sections) {
    for (const block of await order(shuffle_items, section.id, blocksOf(section))) {
      const { id, stem, members = [block] } = block;
      const group = block.members && { id, stem, first: items.length + 1, last: items.length + members.length };
      for (const item of await order(shuffle_items && block.shuffle, id, members)) {
        const options = item.options ?? [];
        const shown = await order(shuffle_options && item.type !== 'true_false', item.id, options);
        items.push({ ...item, options, shown, section, group, number: items.length + 1 });
      }
    }
  }
  return items;
}
