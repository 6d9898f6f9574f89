//! Chains whose rows live on a device against those on the host, for every network.

mod cases;

use cases::{Resident, assert_alike, cases, drawn};
use slt_models::{DeviceKind, Precision};

/// The same seeds give the same chains, minibatches and noise included; sums are of another order, and distances from an anchor are rounded, not weights.
#[test]
fn chains_agree_with_the_host() {
    for (precision, tolerance) in [(Precision::F32, 1e-5), (Precision::F64, 1e-12)] {
        for case in cases() {
            let target = case.target(DeviceKind::Cpu, precision);
            for batch_size in [Some(4), None] {
                let host = drawn(&target, &case.network, batch_size);
                let resident = drawn(&Resident(target.clone()), &case.network, batch_size);
                let name = format!("{}, {precision:?}, {batch_size:?}", case.name);
                assert_alike(&host, &resident, tolerance, &name);
            }
        }
    }
}
