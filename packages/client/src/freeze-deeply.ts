/** Of what came as JSON, which nests no deeper than a registry allows: frozen once, in place of a copy for each. */
export function freezeDeeply<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(freezeDeeply);
  return value;
}
