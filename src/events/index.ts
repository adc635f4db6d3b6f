// The events room's public names: what programs tell while they run.

export { PerfBuffer, type PerfBufferOptions } from "./perf-buffer.js";
export { RingBuffer, type RingBufferOptions } from "./ring-buffer.js";
export { Reservation, UserRingBuffer, type UserRingBufferOptions } from "./user-ring-buffer.js";
