//! A walk over anything serialisable that stops at the first number JSON cannot write.

use serde::Serialize;
use serde::de::value::Error;
use serde::ser::{
    self, Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
};

/// `Ok` when every float in `value` is finite, otherwise the path of the first that is not.
///
/// # Errors
/// A phrase such as `.chains[3].lambda is NaN`.
pub(crate) fn check<T: Serialize + ?Sized>(value: &T) -> Result<(), String> {
    let mut walk = Walk::default();
    value.serialize(&mut walk).map_err(|e| e.to_string())
}

#[derive(Default)]
struct Walk {
    path: Vec<String>,
}

impl Walk {
    fn number(&self, x: f64) -> Result<(), Error> {
        if x.is_finite() {
            return Ok(());
        }
        let path = self.path.concat();
        let place = if path.is_empty() { "the value" } else { &path };
        Err(Error::custom(format!("{place} is {x}")))
    }

    fn step<T: Serialize + ?Sized>(&mut self, step: String, value: &T) -> Result<(), Error> {
        self.path.push(step);
        value.serialize(&mut *self)?;
        self.path.pop();
        Ok(())
    }
}

/// A sequence or map under way.
struct Items<'a> {
    walk: &'a mut Walk,
    next: usize,
    key: String,
}

impl<'a> Items<'a> {
    fn new(walk: &'a mut Walk) -> Self {
        Items {
            walk,
            next: 0,
            key: String::new(),
        }
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let step = format!("[{}]", self.next);
        self.next += 1;
        self.walk.step(step, value)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        self.walk.step(format!(".{name}"), value)
    }
}

macro_rules! fine {
    ($($name:ident: $type:ty),*) => {
        $(fn $name(self, _: $type) -> Result<(), Error> { Ok(()) })*
    };
}

impl<'a> ser::Serializer for &'a mut Walk {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Items<'a>;
    type SerializeStruct = Items<'a>;
    type SerializeStructVariant = Items<'a>;

    fine!(serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32,
        serialize_i64: i64, serialize_i128: i128, serialize_u8: u8, serialize_u16: u16,
        serialize_u32: u32, serialize_u64: u64, serialize_u128: u128, serialize_char: char,
        serialize_str: &str, serialize_bytes: &[u8], serialize_unit_struct: &'static str);

    fn serialize_f32(self, x: f32) -> Result<(), Error> {
        self.number(f64::from(x))
    }
    fn serialize_f64(self, x: f64) -> Result<(), Error> {
        self.number(x)
    }
    fn serialize_none(self) -> Result<(), Error> {
        Ok(())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), Error> {
        Ok(())
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Error> {
        Ok(())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.step(format!(".{variant}"), value)
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, Error> {
        Ok(Items::new(self))
    }
    fn serialize_tuple(self, _: usize) -> Result<Items<'a>, Error> {
        Ok(Items::new(self))
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, Error> {
        Ok(Items::new(self))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Items<'a>, Error> {
        Ok(Items::new(self))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Items<'a>, Error> {
        Ok(Items::new(self))
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, Error> {
        Ok(Items::new(self))
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Items<'a>, Error> {
        Ok(Items::new(self))
    }
}

macro_rules! sequence {
    ($($trait:ident :: $method:ident),*) => {
        $(impl $trait for Items<'_> {
            type Ok = ();
            type Error = Error;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.item(value)
            }
            fn end(self) -> Result<(), Error> { Ok(()) }
        })*
    };
}
sequence!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! fields {
    ($($trait:ident),*) => {
        $(impl $trait for Items<'_> {
            type Ok = ();
            type Error = Error;
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.field(name, value)
            }
            fn end(self) -> Result<(), Error> { Ok(()) }
        })*
    };
}
fields!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Items<'_> {
    type Ok = ();
    type Error = Error;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = match serde_json::to_value(key) {
            Ok(serde_json::Value::String(text)) => text,
            Ok(other) => other.to_string(),
            Err(_) => "?".to_string(),
        };
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = std::mem::take(&mut self.key);
        self.field(&key, value)
    }
    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Serialize)]
    enum Kind {
        Unit,
        Tuple(f64, f32),
        Struct { a: f64 },
    }

    #[test]
    fn finds_the_number_wherever_it_is() {
        let found = |kind: Kind| check(&BTreeMap::from([("k", vec![Kind::Unit, kind])]));
        assert_eq!(found(Kind::Tuple(1.0, 2.0)), Ok(()));
        assert_eq!(
            found(Kind::Tuple(1.0, f32::INFINITY)),
            Err(".k[1][1] is inf".into())
        );
        assert_eq!(
            found(Kind::Struct { a: f64::NAN }),
            Err(".k[1].a is NaN".into())
        );
        assert_eq!(
            check(&Some(f64::NEG_INFINITY)),
            Err("the value is -inf".into())
        );
    }
}
