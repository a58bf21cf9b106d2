//! The tier of the numbers: the ladder, the recipes, reproduction, splits by group, weights, devices.

mod devices;
mod groups;
mod ladder;
mod recipes;
mod reproduce;
mod weights;
