//! Time of a closed form at the largest sizes that are asked of it.

use criterion::{Criterion, criterion_group, criterion_main};
use slt_theory::DeepLinear;

/// 1000 layers of widths around 10^6 that do not come sorted, checked and solved: under 1 ms.
fn deep_linear(c: &mut Criterion) {
    let widths: Vec<u32> = (0..1001).map(|s| 900_000 + s * 7919 % 100_003).collect();
    c.bench_function("deep_linear, 1000 layers", |b| {
        b.iter(|| {
            DeepLinear::new(&widths, 1000)
                .expect("a network")
                .learning_coefficient()
        });
    });
}

criterion_group!(benches, deep_linear);
criterion_main!(benches);
