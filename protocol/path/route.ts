/**
 * The two paths to a peer: straight to an endpoint, or through the beacon (docs/protocol/paths.md §1).
 *
 * @module
 */

import { type Endpoint, sameEndpoint } from "../ip.ts";

/** Where frames go: straight to an endpoint, or through the beacon. */
export type Route = { readonly via: "direct"; readonly endpoint: Endpoint } | {
  readonly via: "relay";
};

/** Which paths may be taken. `relay-only` shows our address to no peer. */
export type PathMode = "auto" | "relay-only" | "no-relay";

/** The path through the beacon. */
export const RELAY_ROUTE: Route = { via: "relay" };

/** The route straight to an endpoint. */
export function directRoute(endpoint: Endpoint): Route {
  return { via: "direct", endpoint };
}

/** The host that a route leads to; undefined for the relay's, which leads to any peer. */
export function hostOf(route: Route): string | undefined {
  return route.via === "relay" ? undefined : route.endpoint.host;
}

/** Whether two routes lead to one place, from whichever address of ours. */
export function sameRoute(a: Route, b: Route): boolean {
  if (a === b) return true;
  return a.via === "relay" || b.via === "relay"
    ? a.via === b.via
    : sameEndpoint(a.endpoint, b.endpoint);
}

/** Whether two routes are one, the address of ours included. */
export function samePath(a: Route, b: Route): boolean {
  return sameRoute(a, b) &&
    (a.via === "relay" || b.via === "relay" || a.endpoint.local === b.endpoint.local);
}
