// The events room's public names: what programs tell while they run.

export { RingBuffer, type RingBufferOptions } from "./ring-buffer.js";
