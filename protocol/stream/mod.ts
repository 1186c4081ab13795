/**
 * The reliable stream of Pilot Protocol, sans-I/O (docs/protocol/streams.md).
 *
 * @module
 */

export {
  DEFAULT_MSS_BYTES,
  STREAM_DEFAULTS,
  type StreamConfig,
  type StreamOptions,
} from "./stream_config.ts";
export { type CongestionControl, NewReno } from "./congestion.ts";
export { Cubic, type CubicOptions } from "./cubic.ts";
export type { StreamEvent } from "./stream_events.ts";
export type { RoundTrips } from "./hystart.ts";
export { StreamMemory } from "./stream_memory.ts";
export { NO_PAYLOAD, type Segment } from "./segment.ts";
export type { StreamStats } from "./stream_stats.ts";
export { Stream, type StreamState } from "./stream.ts";
