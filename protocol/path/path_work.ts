/**
 * What the path manager wants done, and what it must know for that.
 *
 * @module
 */

import type { Route } from "./route.ts";

/** A probe to send: a control packet with this payload, by this route only. */
export interface PathProbe {
  /** The route to be tried. */
  readonly route: Route;
  /** Payload of the control packet. */
  readonly payload: Uint8Array;
}

/** What there is to do. */
export interface PathWork {
  /** Probes to send now. */
  readonly probes: readonly PathProbe[];
  /** Look for a direct path: ask the registry for the peer's endpoint and the beacon for punches. */
  readonly search: boolean;
  /** Announce ourselves to the beacon: our own mapping may be gone. */
  readonly announce: boolean;
  /** Frames take another path now. */
  readonly changed: boolean;
}

/** What the owner knows at the time. */
export interface PathDemand {
  /** The tunnel is to be kept up. */
  readonly isWanted: boolean;
  /** Connections run over it. */
  readonly hasConns: boolean;
}

/** There is nothing to do. */
export const NO_PATH_WORK: PathWork = {
  probes: [],
  search: false,
  announce: false,
  changed: false,
};
