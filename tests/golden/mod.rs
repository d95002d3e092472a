//! What others read byte by byte: the JSON endpoint and the pages of a process.

mod json_endpoint;
mod process_pages;
