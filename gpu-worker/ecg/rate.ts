/** The sampling rate that the network works at, Hz: that of the recordings it learns from. */
export const NETWORK_RATE = 360;
