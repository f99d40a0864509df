// Which control shows which kind of node. A kind that this page does not know is shown as JSON.

import { resolve } from "./blank.js";
import { ChoiceControl } from "./choice_control.js";
import { ListControl } from "./list_control.js";
import { ObjectControl } from "./object_control.js";
import { PairsControl } from "./pairs_control.js";
import { TextControl } from "./text_control.js";
import { UnionControl } from "./union_control.js";

const KINDS = {
  label: ChoiceControl,
  labels: ChoiceControl,
  boolean: ChoiceControl,
  object: ObjectControl,
  tuple: ObjectControl,
  list: ListControl,
  map: PairsControl,
  union: UnionControl,
};

/** Return the control of a node. `context` makes the controls below it with this same function. */
export function makeControl(reference, context, parent) {
  const node = resolve(reference, context.definitions);
  return new (KINDS[node.kind] ?? TextControl)(node, context, parent);
}
