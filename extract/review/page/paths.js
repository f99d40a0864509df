// JSON paths as they stand in spans and in messages: $.items[0].total, $["a b"].

const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export const memberStep = (name) => (PLAIN_NAME.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`);

/** Say whether `path` is `outer` or stands below it. */
export function isWithin(path, outer) {
  if (!path.startsWith(outer)) return false;
  const rest = path.slice(outer.length);
  return rest === "" || rest[0] === "." || rest[0] === "[";
}
