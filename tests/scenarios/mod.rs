//! The main job, and what each component carries of it.

mod money_moves_once;
