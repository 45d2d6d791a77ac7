/** How large JSON bodies of requests may be, in bytes, and how deep. */
export const JSON_LIMIT = 1024 * 1024;
export const TABLE_LIMIT = 8 * 1024 * 1024;
export const DEPTH_LIMIT = 32;
