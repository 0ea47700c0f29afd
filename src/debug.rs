//! `Debug` for types that hold secrets, callbacks or values of any type.

/// Implements `Debug` with the type's name and the listed fields, followed by `..`. Other fields
/// are never printed: they may hold secrets, or their types may not implement `Debug`.
///
/// ```text
/// partial_debug!(Handle<C>);
/// partial_debug!(TestProvider, lifetime, calls = calls());
/// partial_debug!(RedisStore, prefix = shared.prefix);
/// ```
macro_rules! partial_debug {
    (
        $name:ident $(<$lifetime:lifetime>)? $(<$($param:ident $(: $bound:path)?),+>)?
        $(, $field:ident $(= $($path:ident).+ $(($($no_argument:tt)*))?)?)*
    ) => {
        impl $(<$($param $(: $bound)?),+>)? std::fmt::Debug
            for $name $(<$lifetime>)? $(<$($param),+>)?
        {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(
                        stringify!($field),
                        partial_debug!(@value self $field $($($path).+ $(($($no_argument)*))?)?),
                    ))*
                    .finish_non_exhaustive()
            }
        }
    };
    (@value $this:ident $field:ident) => { &$this.$field };
    (@value $this:ident $field:ident $($value:tt)+) => { &$this.$($value)+ };
}
