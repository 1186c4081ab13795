/**
 * What the measuring program can be asked for.
 *
 * @module
 */

/** Parameters of operations; each uses its own. */
export interface Arguments {
  readonly streams: number;
  readonly mode: number;
  readonly ms: number;
  readonly count: number;
  readonly bytes: number;
}

/** Something that can be asked for. */
export type Operations = Readonly<
  Record<string, (args: Arguments) => Promise<object>>
>;
