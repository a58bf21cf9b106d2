//! Rows for the outlines of planned stages: a few dozen bytes instead of the kilobyte of the plan, read without a
//! parser because a restart reads all of them. They are derived from the plans: a missing outline is made again.
//!
//! Format: kind (1 byte), class (1), data (32), training images, validation images, epochs, steps, images seen (8 each,
//! big-endian). Then the parent (1 byte: whether there is one, then its 32 bytes). The rest of the row is the place
//! (empty for none).

use pretext_engine::Outline;
use pretext_shared::device::NumericClass;
use pretext_shared::ids::{ContentHash, Fingerprint, StageId};
use pretext_shared::stage::StageKind;
use pretext_shared::sweep::Cost;

use super::StoreError;

/// Returns the row of an outline.
pub(super) fn encode(outline: &Outline) -> Vec<u8> {
    let Outline { kind, class, parent, data, place, cost } = outline;
    let Cost { train_images, validation_images, epochs, steps, images_seen } = cost;
    let kind = match kind {
        StageKind::Pretext => 0,
        StageKind::Downstream => 1,
        StageKind::Test => 2,
    };
    let class = match class {
        NumericClass::Cpu => 0,
        NumericClass::Gpu => 1,
    };
    let mut row = vec![kind, class];
    row.extend_from_slice(data.0.as_bytes());
    for number in [*train_images, *validation_images, u64::from(*epochs), *steps, *images_seen] {
        row.extend_from_slice(&number.to_be_bytes());
    }
    row.push(u8::from(parent.is_some()));
    row.extend(parent.iter().flat_map(|parent| parent.0.as_bytes()));
    row.extend_from_slice(place.as_deref().unwrap_or_default().as_bytes());
    row
}

/// Returns the outline of a row.
///
/// # Errors
///
/// [`StoreError::Damaged`] if the row is not an outline.
pub(super) fn decode(row: &[u8]) -> Result<Box<Outline>, StoreError> {
    let mut rest = Rest(row);
    let outline = (|| {
        let kind = match rest.byte()? {
            0 => StageKind::Pretext,
            1 => StageKind::Downstream,
            2 => StageKind::Test,
            _ => return None,
        };
        let class = match rest.byte()? {
            0 => NumericClass::Cpu,
            1 => NumericClass::Gpu,
            _ => return None,
        };
        let data = Fingerprint(ContentHash::from_bytes(rest.take()?));
        let cost = Cost {
            train_images: rest.number()?,
            validation_images: rest.number()?,
            epochs: rest.number()?.try_into().ok()?,
            steps: rest.number()?,
            images_seen: rest.number()?,
        };
        let parent = match rest.byte()? {
            0 => None,
            1 => Some(StageId(ContentHash::from_bytes(rest.take()?))),
            _ => return None,
        };
        let place = std::str::from_utf8(rest.0).ok()?;
        let place = (!place.is_empty()).then(|| place.into());
        Some(Box::new(Outline { kind, class, parent, data, place, cost }))
    })();
    let damaged = || StoreError::Damaged { table: "outlines", cause: format!("a row of {} bytes", row.len()) };
    outline.ok_or_else(damaged)
}

/// The unread rest of a row.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::dataset::{Procedural, Source};

    use super::*;
    use pretext_engine::StageRecord;
    use pretext_engine::fixtures::{SWEEP, submission};

    /// Tested for every kind of stage and source; also, no cut row may decode to an outline with another place or
    /// parent.
    #[test]
    fn an_outline_is_read_as_it_was_written() {
        let path = || "a place/ä".to_owned();
        let sources = [
            "image-folder:a place/ä".parse::<Source>().expect("a key").with_test_fraction(Some(0.25)),
            Source::Cifar10 { path: path() },
            Source::Procedural(Procedural { train_per_class: 4, test_per_class: 2, seed: 0 }),
        ];
        let mut kinds = std::collections::BTreeSet::new();
        for (_, record) in submission(SWEEP, 1).stages {
            for source in &sources {
                let outline = Outline::from(&StageRecord { source: source.clone(), ..record.clone() });
                let row = encode(&outline);
                assert_eq!(*decode(&row).expect("as it was written"), outline);
                let fixed = row.len() - outline.place.as_deref().map_or(0, str::len);
                assert!((0..fixed).all(|end| decode(&row[..end]).is_err()), "a row that was cut");
                kinds.insert(outline.kind);
            }
        }
        assert_eq!(kinds.len(), 3, "of every kind");
        assert!(matches!(decode(&[9; 200]), Err(StoreError::Damaged { .. })));
    }
}
