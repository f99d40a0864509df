// What a form holds before anybody has answered: null where null is allowed, nothing where a person must choose.

/** Return a node with the target of its reference in it; the reference's own keys win. */
export function resolve(node, definitions) {
  let seen = 0;
  let found = node;
  while (found.kind === "ref" && seen < 50) {
    const target = definitions[found.to];
    if (!target) return { ...found, kind: "json" };
    const { kind: _kind, to: _to, constraints: _constraints, ...own } = found;
    const given = Object.entries(own).filter(([, value]) => value !== null && value !== undefined && value !== "");
    found = { ...target, ...Object.fromEntries(given) };
    seen += 1;
  }
  return found;
}

/** Return the value of a form that nobody has touched; undefined stands for "no value yet". */
export function blank(reference, definitions) {
  const node = resolve(reference, definitions);
  if (node.kind === "label" || node.kind === "boolean") return undefined;
  if (node.nullable) return null;
  if (node.kind === "labels" || node.kind === "list" || node.kind === "map") return [];
  if (node.kind === "tuple") return node.members.map((member) => blank(member, definitions));
  if (node.kind !== "object" || !node.required) return undefined;
  const members = node.members.map((member) => [member.name, blank(member, definitions)]);
  return Object.fromEntries(members.filter(([, value]) => value !== undefined));
}
