using System.Reflection;
using System.Reflection.Emit;
using System.Security.Cryptography;
using Mira.Domain.Tokens;

namespace Mira.Domain.Tests.Tokens;

/// <summary>
/// Digests are compared in one place, in fixed time. Read from the compiled methods: whoever compares digests in
/// another way has to call for their bytes, or for an equality that is made for them.
/// </summary>
public class DigestComparisonTests
{
    [Test]
    public void Nothing_in_the_domain_compares_digests_in_another_way() =>
        Assert.That(
            Methods(typeof(Digest).Assembly.GetTypes()).Where(ComparesInAnotherWay).Select(method => $"{method.DeclaringType!.Name}.{method.Name}"),
            Is.EqualTo(new[] { "SecretRecord.Of" }),
            "which takes the bytes out to be stored");

    [Test]
    public void One_method_compares_in_fixed_time_and_secrets_peppers_and_macs_call_it()
    {
        Assert.That(
            CallersOf(typeof(CryptographicOperations), nameof(CryptographicOperations.FixedTimeEquals)),
            Is.EqualTo(new[] { "Digest.FixedTimeEquals" }));
        Assert.That(
            CallersOf(typeof(Digest), nameof(Digest.FixedTimeEquals)),
            Is.EquivalentTo(new[] { "MacKey.Verifies", "PepperRing.MatchNothing", "Secret.Matches" }));
    }

    [TestCase(nameof(Violation.BytesByByte))]
    [TestCase(nameof(Violation.Sequence))]
    [TestCase(nameof(Violation.Boxed))]
    [TestCase(nameof(Violation.Comparer))]
    [TestCase(nameof(Violation.Lambda))]
    public void A_planted_violation_is_found(string name)
    {
        var found = Methods([typeof(Violation), .. typeof(Violation).GetNestedTypes(BindingFlags.NonPublic)]).Where(ComparesInAnotherWay);

        Assert.That(found.Select(method => method.Name), Has.Some.Contains(name));
    }

    [Test]
    public void What_a_record_compares_by_itself_is_found() =>
        Assert.That(Methods([typeof(Violation.Sealed)]).Where(ComparesInAnotherWay).Select(method => method.Name), Does.Contain("Equals"));

    private static bool ComparesInAnotherWay(MethodBase method) => Callees(method).Any(callee =>
        (callee.DeclaringType == typeof(Digest) && callee.Name == nameof(Digest.ToArray))
        || (callee.Name is "Equals" or "SequenceEqual" or "CompareTo" or "GetHashCode" && Concerns(callee, method)));

    // An Equals of digests is generic over them, or is called after a box or a constraint that names them.
    private static bool Concerns(MethodBase callee, MethodBase caller) =>
        callee.DeclaringType == typeof(Digest)
        || callee.DeclaringType?.GenericTypeArguments.Contains(typeof(Digest)) == true
        || (callee.IsGenericMethod && callee.GetGenericArguments().Contains(typeof(Digest)))
        || ((callee.DeclaringType == typeof(object) || callee.DeclaringType == typeof(ValueType)) && Operands(caller).OfType<Type>().Contains(typeof(Digest)));

    private static IEnumerable<string> CallersOf(Type type, string name) =>
        from method in Methods(typeof(Digest).Assembly.GetTypes())
        where Callees(method).Any(callee => callee.DeclaringType == type && callee.Name == name)
        select $"{method.DeclaringType!.Name}.{method.Name}";

    private static IEnumerable<MethodBase> Methods(IEnumerable<Type> types)
    {
        const BindingFlags All =
            BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly;
        return types.SelectMany(type => type.GetMethods(All).Concat<MethodBase>(type.GetConstructors(All)));
    }

    private static IEnumerable<MethodBase> Callees(MethodBase method) => Operands(method).OfType<MethodBase>();

    /// <summary>The methods and types that a method's instructions name.</summary>
    private static IEnumerable<MemberInfo> Operands(MethodBase method)
    {
        var code = method.GetMethodBody()?.GetILAsByteArray() ?? [];
        var typeArguments = method.DeclaringType is { IsGenericType: true } type ? type.GetGenericArguments() : null;
        var methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : null;
        for (var i = 0; i < code.Length;)
        {
            var value = code[i++] is 0xFE ? (short)(0xFE00 | code[i++]) : code[i - 1];
            var operand = Instructions[value].OperandType;
            if (operand is OperandType.InlineMethod or OperandType.InlineType or OperandType.InlineTok)
                yield return method.Module.ResolveMember(BitConverter.ToInt32(code, i), typeArguments, methodArguments)!;
            i += operand switch
            {
                OperandType.InlineNone => 0,
                OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                OperandType.InlineVar => 2,
                OperandType.InlineI8 or OperandType.InlineR => 8,
                OperandType.InlineSwitch => 4 + (4 * BitConverter.ToInt32(code, i)),
                _ => 4,
            };
        }
    }

    private static readonly Dictionary<short, OpCode> Instructions =
        typeof(OpCodes).GetFields().Select(field => (OpCode)field.GetValue(null)!).ToDictionary(instruction => instruction.Value);

    internal static class Violation
    {
        public static bool BytesByByte(Digest left, Digest right)
        {
            var (one, other) = (left.ToArray(), right.ToArray());
            for (var i = 0; i < one.Length; i++)
            {
                if (one[i] != other[i])
                    return false;
            }

            return true;
        }

        public static bool Sequence(Digest left, Digest right) => left.ToArray().AsSpan().SequenceEqual(right.ToArray());

        public static bool Boxed(Digest left, Digest right) => left.Equals(right);

        public static bool Comparer(Digest left, Digest right) => EqualityComparer<Digest>.Default.Equals(left, right);

        public static Func<Digest, bool> Lambda(Digest left) => right => Equals(left, right);

        public readonly record struct Sealed(string PepperId, Digest Digest);
    }
}
